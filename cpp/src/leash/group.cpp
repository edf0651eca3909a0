// Finding the own group, and making one below it.
#include "group.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace stillgate::leash {
namespace {

std::string read_text(const char* path) {
  std::string text;
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = ::read(file, piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  ::close(file);
  return text;
}

/// Takes the text up to the separator off, and the separator.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view first = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return first;
}

/// Where all of cgroup v2 is mounted: "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw".
std::string_view mount_point(std::string_view mounts) {
  while (!mounts.empty()) {
    std::string_view line = take(mounts, '\n');
    if (line.find(" - cgroup2 ") == std::string_view::npos) continue;
    for (int skipped = 0; skipped < 3; ++skipped) take(line, ' ');
    if (take(line, ' ') == "/") return take(line, ' ');
  }
  return {};
}

void write_word(int file, std::string_view word) {
  if (file >= 0) (void)!::write(file, word.data(), word.size());
}

}  // namespace

std::string own_group(std::string_view cgroup, std::string_view mounts) {
  const std::string_view mounted = mount_point(mounts);
  while (!cgroup.empty() && !mounted.empty()) {
    std::string_view line = take(cgroup, '\n');
    if (!line.starts_with("0::/")) continue;
    line.remove_prefix(3);
    // Outside of what this process may see.
    if (line.starts_with("/..")) return {};
    return std::string(mounted) + std::string(line == "/" ? "" : line);
  }
  return {};
}

Group::Group() {
  const std::string own =
      own_group(read_text("/proc/self/cgroup"), read_text("/proc/self/mountinfo"));
  if (own.empty()) return;
  folder_ = own + "/stillgate-leash-" + std::to_string(::getpid());
  // One that is there is left from a leash of the same number that was killed.
  if (::mkdir(folder_.c_str(), 0755) != 0 && errno != EEXIST) return;
  processes_ = ::open((folder_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  // From Linux 5.14 on.
  kill_ = ::open((folder_ + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
  if (kill_ < 0 || processes_ < 0) remove();
}

Group::~Group() {
  if (processes_ >= 0) ::close(processes_);
  if (kill_ >= 0) ::close(kill_);
}

void Group::enter() const {
  if (kill_ >= 0) write_word(processes_, "0");
}

void Group::kill() const { write_word(kill_, "1"); }

void Group::remove() const {
  if (!folder_.empty()) ::rmdir(folder_.c_str());
}

}  // namespace stillgate::leash
