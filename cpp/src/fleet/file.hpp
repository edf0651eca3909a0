// A file descriptor that closes itself, and the permissions of the state folder's files.
#pragma once

#include <cerrno>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace stillgate::fleet {

inline constexpr mode_t owner_only_folder = 0700;
inline constexpr mode_t owner_only_file = 0600;

class File {
 public:
  /// `flags` as open(2) has them; only its owner may read a file that it creates.
  File(const std::filesystem::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, owner_only_file)) {}
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

}  // namespace stillgate::fleet
