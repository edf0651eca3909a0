// Writing events down, and handing them on.
#include "events.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell.hpp"

namespace stillgate::fleet {
namespace {

constexpr mode_t owner_only_folder = 0700;
constexpr mode_t owner_only_file = 0600;
// HAProxy's own words may be long; all else in a line is bounded by what a call accepts.
constexpr std::size_t longest_message = 8000;

std::string host_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return {};
  return host.data();
}

/// A file descriptor that closes itself.
class File {
 public:
  explicit File(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, owner_only_file)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Moves a file that has grown too large aside. Of the processes that find it so, the one with the
/// lock does it; the others, and one that comes too late, go on with the file they have.
void rotate(const std::filesystem::path& path) {
  const File file(path);
  struct stat opened {};
  struct stat named {};
  if (::fstat(file.get(), &opened) != 0 || opened.st_size < EventLog::largest_file) return;
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  if (::stat(path.c_str(), &named) != 0 || named.st_ino != opened.st_ino) return;
  auto aside = path;
  aside += ".1";
  ::rename(path.c_str(), aside.c_str());
}

/// Whether the last writer was cut short, by a full disk or a power cut. One that is still at it
/// may look the same; the empty line that comes of it is skipped by readers.
bool ends_inside_a_line(int fd) {
  struct stat found {};
  char last = '\n';
  if (::fstat(fd, &found) != 0 || found.st_size == 0) return false;
  return ::pread(fd, &last, 1, found.st_size - 1) == 1 && last != '\n';
}

}  // namespace

EventLog::EventLog(std::filesystem::path folder, EventOptions options)
    : folder_(std::move(folder)), options_(std::move(options)), host_(host_name()) {}

void EventLog::tell(Event event) noexcept {
  try {
    deliver(event);
  } catch (...) {  // NOLINT(bugprone-empty-catch): no memory for a line is no reason to end a hold
  }
}

void EventLog::deliver(Event& event) {
  event.host = host_;
  event.pid = ::getpid();
  event.seq = ++told_;
  event.message.resize(std::min(event.message.size(), longest_message));
  const std::string line = format(event, EventFormat::json);
  append(line);
  if (options_.on_line) options_.on_line(line);
  if (!options_.on_event.empty()) {
    const bool same = options_.format == EventFormat::json;
    start_shell(options_.on_event, (same ? line : format(event, options_.format)) + "\n",
                "STILLGATE_EVENT", std::string(name(event.kind)));
  }
}

/// In one write, which O_APPEND keeps in one piece among writers.
void EventLog::append(const std::string& line) const {
  std::error_code ignored;
  std::filesystem::create_directories(folder_.parent_path(), ignored);
  // May exist.
  ::mkdir(folder_.c_str(), owner_only_folder);
  const auto path = folder_ / "history.jsonl";
  rotate(path);
  const File file(path);
  if (file.get() < 0) return;
  const std::string text = (ends_inside_a_line(file.get()) ? "\n" : "") + line + "\n";
  while (::write(file.get(), text.data(), text.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace stillgate::fleet
