// Opening and reading plain files: a FIFO or a device would hang its reader, a huge one fill its
// memory. And who else can write to a file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace stillgate::files {

inline constexpr mode_t owner_only_folder = 0700;
inline constexpr mode_t owner_only_file = 0600;

/// Why a file cannot be had.
struct Fault {
  int number{0};    ///< errno's; 0: the system would have given it
  std::string why;  ///< in words, without the path

  [[nodiscard]] static Fault of(int number);
  [[nodiscard]] bool is_missing() const noexcept;
};

/// A descriptor of a plain file, or with O_DIRECTORY of a folder, that closes itself. All files
/// that Stillgate reads or writes are opened by it; what is in /proc and /sys is the kernel's own.
class File {
 public:
  /// `flags` as open(2) has them. Never waits: neither for the other end of a FIFO nor for a
  /// device. Only its owner may read a file that it creates, and its owner may, whatever the umask
  /// is.
  File(const std::filesystem::path& path, int flags);
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int get() const noexcept { return fd_; }
  /// As it was when it was opened.
  [[nodiscard]] const struct stat& status() const noexcept { return status_; }
  /// Where it is not open.
  [[nodiscard]] const Fault& fault() const noexcept { return fault_; }

  /// False: errno has the reason.
  [[nodiscard]] bool write(std::string_view text) const;
  [[nodiscard]] bool flush() const { return ::fsync(fd_) == 0; }

 private:
  void close() noexcept;
  void refuse(Fault fault);

  int fd_;
  struct stat status_ {};
  Fault fault_;
};

/// What was read, or why nothing was.
template <class T>
struct Read {
  std::optional<T> value;
  Fault fault;  ///< where there is no `value`

  [[nodiscard]] explicit operator bool() const noexcept { return value.has_value(); }
  [[nodiscard]] T& operator*() { return *value; }
  [[nodiscard]] const T& operator*() const { return *value; }
  [[nodiscard]] T* operator->() { return &*value; }
  [[nodiscard]] const T* operator->() const { return &*value; }
};

/// A file's whole text, with its owner and its mode.
struct FileText {
  std::string text;
  struct stat status {};
};

/// Far more than anybody writes into a configuration, a key or the record of a hold.
inline constexpr std::size_t most_of_a_file = std::size_t{16} << 20U;

/// /dev/null is a file without text, as people have it in place of a file.
[[nodiscard]] Read<FileText> read_file(const std::filesystem::path& path,
                                       std::size_t most = most_of_a_file);

/// What is wrong where somebody else than `user` and root can write to it, with the command that
/// mends it; empty: nothing. Its group may, where that is the user's own: named like the user, with
/// nobody else in it. In a folder with the sticky bit others can add, but not replace.
[[nodiscard]] std::string written_by_others(const std::filesystem::path& path,
                                            const struct stat& status, uid_t user);

/// What is wrong where others can read a private key, by ssh's own rule: root may use anybody's.
[[nodiscard]] std::string key_read_by_others(const std::filesystem::path& path,
                                             const struct stat& status, uid_t user);

}  // namespace stillgate::files
