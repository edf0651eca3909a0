// Folders that nobody else may write to.
#include "file.hpp"

#include <algorithm>
#include <string>
#include <system_error>

namespace stillgate::fleet {
namespace {

constexpr mode_t written_by_others = 022;

/// The mode is set again, because a umask may have taken the owner's own rights. Returns errno's
/// number, or 0; EEXIST, where it is there.
int make_one(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), owner_only_folder) != 0) return errno;
  return ::chmod(path.c_str(), owner_only_folder) == 0 ? 0 : errno;
}

bool has_only(const std::filesystem::path& folder, std::initializer_list<std::string_view> ours) {
  std::error_code code;
  std::filesystem::directory_iterator entry(folder, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    const std::string name = entry->path().filename();
    if (std::find(ours.begin(), ours.end(), name) == ours.end()) return false;
  }
  return !code;
}

}  // namespace

int make_folder(const std::filesystem::path& path, std::initializer_list<std::string_view> ours) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) {
    const bool mend = found.st_uid == ::geteuid() && (found.st_mode & written_by_others) != 0;
    // Somebody may share a folder, and have us use it: /tmp, for one.
    if (mend && (found.st_mode & S_ISVTX) == 0 && has_only(path, ours)) {
      (void)::chmod(path.c_str(), found.st_mode & 07777U & ~written_by_others);
    }
    return 0;
  }
  if (path.has_parent_path() && path.parent_path() != path) {
    if (const int number = make_folder(path.parent_path(), {}); number != 0) return number;
  }
  const int number = make_one(path);
  return number == EEXIST ? 0 : number;
}

int make_private_folder(const std::filesystem::path& path) {
  if (const int number = make_one(path); number != EEXIST) return number;
  struct stat found {};
  // Not through a link: whoever made it may turn it elsewhere.
  if (::lstat(path.c_str(), &found) != 0) return errno;
  if (!S_ISDIR(found.st_mode)) return ENOTDIR;
  if (found.st_uid != ::geteuid() && found.st_uid != 0) return EPERM;
  if ((found.st_mode & written_by_others) == 0) return 0;
  const mode_t mended = found.st_mode & 07777U & ~written_by_others;
  return ::chmod(path.c_str(), mended) == 0 ? 0 : errno;
}

}  // namespace stillgate::fleet
