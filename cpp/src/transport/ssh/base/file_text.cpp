// Reading a file into memory.
#include "file_text.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace stillgate::transport::ssh {
namespace {

constexpr std::size_t chunk_bytes = 16384;

bool read_all(int fd, FileText& file, std::size_t most) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  file.owner = status.st_uid;
  file.mode = status.st_mode;
  std::array<char, chunk_bytes> chunk{};
  for (;;) {
    const ssize_t size = ::read(fd, chunk.data(), chunk.size());
    if (size == 0) return true;
    if (size > 0) {
      file.text.append(chunk.data(), static_cast<std::size_t>(size));
      if (file.text.size() <= most) continue;
      errno = EFBIG;
      return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
}

}  // namespace

std::optional<FileText> read_file(const std::string& path, std::size_t most) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  FileText file;
  const bool well = read_all(fd, file, most);
  const int number = errno;
  ::close(fd);
  errno = number;
  if (!well) return std::nullopt;
  return file;
}

}  // namespace stillgate::transport::ssh
