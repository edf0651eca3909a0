// Making folders, and refusing those that others can write.
#include "folders.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

namespace stillgate::fleet {
namespace {

using files::Fault;

constexpr mode_t permissions = 07777;
constexpr mode_t written_by_all_others = 022;
constexpr std::array<std::string_view, 5> ours{"holds", "ended", "cutovers", "history.jsonl",
                                               "history.jsonl.1"};

/// The mode is set again, because a umask may have taken the owner's own rights. Returns errno's
/// number, or 0; EEXIST, where it is there.
int make_one(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), files::owner_only_folder) != 0) return errno;
  return ::chmod(path.c_str(), files::owner_only_folder) == 0 ? 0 : errno;
}

int make_with_parents(const std::filesystem::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) return 0;
  if (path.has_parent_path() && path.parent_path() != path) {
    if (const int number = make_with_parents(path.parent_path()); number != 0) return number;
  }
  const int number = make_one(path);
  return number == EEXIST ? 0 : number;
}

bool has_only_ours(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::directory_iterator entry(folder, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    const std::string name = entry->path().filename();
    if (std::find(ours.begin(), ours.end(), name) == ours.end()) return false;
  }
  return !code;
}

bool mend(const std::filesystem::path& path, struct stat& found) {
  const mode_t mended = found.st_mode & permissions & ~written_by_all_others;
  if (found.st_uid != ::geteuid() || ::chmod(path.c_str(), mended) != 0) return false;
  found.st_mode = (found.st_mode & ~permissions) | mended;
  return true;
}

Fault verdict(const std::filesystem::path& path, const struct stat& found) {
  std::string why = files::written_by_others(path, found, ::geteuid());
  if (why.empty()) return {};
  return {0, std::move(why)};
}

}  // namespace

Fault check_state_folder(const std::filesystem::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return errno == ENOENT ? Fault{} : Fault::of(errno);
  if (!S_ISDIR(found.st_mode)) return Fault::of(ENOTDIR);
  Fault fault = verdict(path, found);
  // Made by an earlier release, under a careless umask.
  if (fault.why.empty() || !has_only_ours(path) || !mend(path, found)) return fault;
  return verdict(path, found);
}

Fault make_state_folder(const std::filesystem::path& path) {
  if (const int number = make_with_parents(path); number != 0) return Fault::of(number);
  return check_state_folder(path);
}

Fault check_private_folder(const std::filesystem::path& path) {
  struct stat found {};
  // Not through a link: whoever made it may turn it elsewhere.
  if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? Fault{} : Fault::of(errno);
  if (!S_ISDIR(found.st_mode)) return Fault::of(ENOTDIR);
  Fault fault = verdict(path, found);
  if (fault.why.empty() || !mend(path, found)) return fault;
  return verdict(path, found);
}

Fault make_private_folder(const std::filesystem::path& path) {
  if (const int number = make_one(path); number != 0 && number != EEXIST) return Fault::of(number);
  return check_private_folder(path);
}

}  // namespace stillgate::fleet
