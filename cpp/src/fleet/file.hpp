// A file descriptor that closes itself, and the permissions of the state folder's files.
#pragma once

#include <cerrno>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace stillgate::fleet {

inline constexpr mode_t owner_only_folder = 0700;
inline constexpr mode_t owner_only_file = 0600;

class File {
 public:
  /// `flags` as open(2) has them; only its owner may read a file that it creates, and its owner
  /// may, whatever the umask is.
  File(const std::filesystem::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, owner_only_file)) {
    struct stat found {};
    if ((flags & O_CREAT) == 0 || !is_open() || ::fstat(fd_, &found) != 0) return;
    const mode_t mode = found.st_mode & 07777U;
    if ((mode & owner_only_file) != owner_only_file) ::fchmod(fd_, mode | owner_only_file);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (is_open()) ::close(fd_);
  }

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int get() const noexcept { return fd_; }

  [[nodiscard]] bool write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t n = ::write(fd_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  [[nodiscard]] bool flush() const { return ::fsync(fd_) == 0; }

 private:
  int fd_;
};

/// Makes the folder with what is missing above it, each for its owner only, whatever the umask is.
/// Where it is there, is ours and has nothing in it but what is in `ours`, others lose the right to
/// write to it. Returns errno's number, or 0.
[[nodiscard]] int make_folder(const std::filesystem::path& path,
                              std::initializer_list<std::string_view> ours);

/// The folder of the journal and the history.
[[nodiscard]] inline int make_state_folder(const std::filesystem::path& path) {
  return make_folder(path, {"holds", "ended", "history.jsonl", "history.jsonl.1"});
}

/// Makes a folder to which nobody else writes; what is above it is there. Returns errno's number,
/// or 0; EPERM, where the folder is there, and somebody else's.
[[nodiscard]] int make_private_folder(const std::filesystem::path& path);

}  // namespace stillgate::fleet
