// Appending to a known_hosts file.
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "files/file.hpp"
#include "known_hosts.hpp"

namespace stillgate::transport::ssh {
namespace {

Error failed(std::string_view what, const std::string& path, const files::Fault& fault) {
  return {Errc::system_error, fmt::format("cannot {} {}: {}", what, path, fault.why)};
}

/// The last line may lack its line feed.
bool line_is_open(int fd) {
  const off_t end = ::lseek(fd, 0, SEEK_END);
  char last = '\n';
  return end > 0 && ::pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

/// A single write, so that lines of several processes do not mix.
int append(int fd, std::string_view line) {
  // Not by `"" + std::string()`: of that an optimizing g++ 12 warns where nothing is wrong.
  std::string text(line_is_open(fd) ? "\n" : "");
  text += line;
  ssize_t written = 0;
  do {
    written = ::write(fd, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return errno;
  return static_cast<std::size_t>(written) == text.size() ? 0 : ENOSPC;
}

}  // namespace

std::optional<Error> append_known_hosts_line(const std::string& file, std::string_view line) {
  const auto folder = std::filesystem::path(file).parent_path();
  if (!folder.empty() && ::mkdir(folder.c_str(), files::owner_only_folder) != 0 &&
      errno != EEXIST) {
    return failed("create", folder.string(), files::Fault::of(errno));
  }
  const files::File opened(file, O_RDWR | O_APPEND | O_CREAT);
  if (!opened.is_open()) return failed("open", file, opened.fault());
  const int number = append(opened.get(), line);
  if (number != 0) return failed("write", file, files::Fault::of(number));
  return std::nullopt;
}

}  // namespace stillgate::transport::ssh
