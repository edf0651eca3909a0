// Refusing what is no plain file, and judging owners and modes.
#include "file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <grp.h>
#include <pwd.h>
#include <sys/sysmacros.h>

#include <fmt/format.h>

namespace stillgate::files {
namespace {

constexpr mode_t permissions = 07777;
constexpr mode_t by_all_others = 077;
constexpr std::size_t chunk_bytes = 16384;
constexpr std::size_t entry_bytes = 16384;

std::string kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a folder";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    default:
      return "a device";
  }
}

bool is_null_device(const struct stat& status) {
  constexpr unsigned memory_devices = 1;
  constexpr unsigned null_device = 3;
  return S_ISCHR(status.st_mode) && ::major(status.st_rdev) == memory_devices &&
         ::minor(status.st_rdev) == null_device;
}

Fault no_plain_file(mode_t mode) { return {0, fmt::format("{}, not a plain file", kind_of(mode))}; }

Fault too_large(std::size_t most) { return {0, fmt::format("larger than {} bytes", most)}; }

/// The user's name; its number, where it has none.
std::string user_name(uid_t user) {
  std::array<char, entry_bytes> room{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(user, &entry, room.data(), room.size(), &found);
  return found == nullptr ? std::to_string(user) : found->pw_name;
}

/// For a shell: a path may hold anything.
std::string quoted(const std::filesystem::path& path) {
  std::string text = "'";
  for (const char c : path.string()) {
    if (c == '\'') {
      text += "'\\''";
    } else {
      text += c;
    }
  }
  return text + "'";
}

bool is_own_group(gid_t group, uid_t user) {
  std::array<char, entry_bytes> user_room{};
  passwd user_entry{};
  passwd* who = nullptr;
  if (::getpwuid_r(user, &user_entry, user_room.data(), user_room.size(), &who) != 0 ||
      who == nullptr || who->pw_gid != group) {
    return false;
  }
  std::array<char, entry_bytes> group_room{};
  ::group group_entry{};
  ::group* which = nullptr;
  if (::getgrgid_r(group, &group_entry, group_room.data(), group_room.size(), &which) != 0 ||
      which == nullptr || std::strcmp(which->gr_name, who->pw_name) != 0) {
    return false;
  }
  for (char** member = which->gr_mem; *member != nullptr; ++member) {
    if (std::strcmp(*member, who->pw_name) != 0) return false;
  }
  return true;
}

Read<FileText> no_file(Fault fault) { return {std::nullopt, std::move(fault)}; }

}  // namespace

Fault Fault::of(int number) { return {number, std::system_category().message(number)}; }

bool Fault::is_missing() const noexcept { return number == ENOENT || number == ENOTDIR; }

File::File(const std::filesystem::path& path, int flags)
    : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, owner_only_file)) {
  if (!is_open()) {
    const int number = errno;
    // What only a socket, a FIFO or a device says.
    struct stat found {};
    const bool is_other =
        (number == ENXIO || number == ENODEV) && ::stat(path.c_str(), &found) == 0;
    fault_ = is_other ? no_plain_file(found.st_mode) : Fault::of(number);
    return;
  }
  if (::fstat(fd_, &status_) != 0) {
    refuse(Fault::of(errno));
  } else if ((flags & O_DIRECTORY) == 0 && !S_ISREG(status_.st_mode)) {
    refuse(no_plain_file(status_.st_mode));
  } else if ((flags & O_CREAT) != 0) {
    const mode_t mode = status_.st_mode & permissions;
    if ((mode & owner_only_file) != owner_only_file) ::fchmod(fd_, mode | owner_only_file);
  }
}

void File::refuse(Fault fault) {
  fault_ = std::move(fault);
  close();
}

void File::close() noexcept {
  if (const int open = std::exchange(fd_, -1); open >= 0) ::close(open);
}

bool File::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t n = ::write(fd_, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

Read<FileText> read_file(const std::filesystem::path& path, std::size_t most) {
  const File file(path, O_RDONLY);
  if (!file.is_open()) {
    if (is_null_device(file.status())) return {FileText{{}, file.status()}, {}};
    return no_file(file.fault());
  }
  FileText read{{}, file.status()};
  if (static_cast<std::size_t>(read.status.st_size) > most) return no_file(too_large(most));
  std::array<char, chunk_bytes> chunk{};
  for (;;) {
    const ssize_t size = ::read(file.get(), chunk.data(), chunk.size());
    if (size == 0) return {std::move(read), {}};
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return no_file(Fault::of(errno));
    read.text.append(chunk.data(), static_cast<std::size_t>(size));
    // It grows while it is read.
    if (read.text.size() > most) return no_file(too_large(most));
  }
}

std::string written_by_others(const std::filesystem::path& path, const struct stat& status,
                              uid_t user) {
  const mode_t mode = status.st_mode & permissions;
  const bool is_foreign = status.st_uid != 0 && status.st_uid != user;
  const bool is_shared_folder = S_ISDIR(status.st_mode) && (mode & S_ISVTX) != 0;
  const bool by_group = (mode & S_IWGRP) != 0 && !is_own_group(status.st_gid, user);
  const bool by_mode = !is_shared_folder && (by_group || (mode & S_IWOTH) != 0);
  // Anybody may write to /dev/null, and nothing is in it.
  if ((!is_foreign && !by_mode) || is_null_device(status)) return {};
  std::string mend;
  if (is_foreign) mend = fmt::format("chown {} {}", user_name(user), quoted(path));
  if (is_foreign && by_mode) mend += " && ";
  if (by_mode) mend += fmt::format("chmod go-w {}", quoted(path));
  return fmt::format("others can write it (owner {}, mode {:04o}); if you trust what is in it: {}",
                     user_name(status.st_uid), mode, mend);
}

std::string key_read_by_others(const std::filesystem::path& path, const struct stat& status,
                               uid_t user) {
  const mode_t mode = status.st_mode & permissions;
  if (status.st_uid != user || (mode & by_all_others) == 0) return {};
  return fmt::format("others can use this private key (owner {}, mode {:04o}): chmod go= {}",
                     user_name(status.st_uid), mode, quoted(path));
}

}  // namespace stillgate::files
