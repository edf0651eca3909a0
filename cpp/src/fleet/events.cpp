// Writing events to the history, and passing them on.
#include "events.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/file.hpp"
#include "folders.hpp"
#include "shell.hpp"

namespace stillgate::fleet {
namespace {

// HAProxy's answers may be long. All else in a line is limited by what a call accepts.
constexpr std::size_t longest_message = 8000;
constexpr int append_flags = O_RDWR | O_APPEND | O_CREAT;

std::string host_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return {};
  return host.data();
}

/// Renames a file that has grown too large. Of the processes that find it too large, the one with
/// the lock does it. The others write to the file that they have open.
void rotate(const std::filesystem::path& path) {
  const files::File file(path, append_flags);
  struct stat named {};
  if (!file.is_open() || file.status().st_size < EventLog::largest_file) return;
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  if (::stat(path.c_str(), &named) != 0 || named.st_ino != file.status().st_ino) return;
  auto aside = path;
  aside += ".1";
  ::rename(path.c_str(), aside.c_str());
}

/// Whether the last writer was cut short, by a full disk or a power cut. One that is still writing
/// is taken for that too: then there is an empty line, which readers skip.
bool ends_inside_a_line(int fd) {
  struct stat found {};
  char last = '\n';
  if (::fstat(fd, &found) != 0 || found.st_size == 0) return false;
  return ::pread(fd, &last, 1, found.st_size - 1) == 1 && last != '\n';
}

}  // namespace

EventLog::EventLog(std::filesystem::path folder, EventOptions options,
                   std::function<void(Event&)> finish)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      finish_(std::move(finish)),
      host_(host_name()) {}

void EventLog::report(Event event) noexcept {
  try {
    deliver(event);
  } catch (...) {  // NOLINT(bugprone-empty-catch): no memory for a line is no reason to end a hold
  }
}

void EventLog::deliver(Event& event) {
  if (finish_) finish_(event);
  event.host = host_;
  event.pid = ::getpid();
  event.seq = ++reported_;
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

/// In one write: with O_APPEND no other writer's text gets between.
void EventLog::append(const std::string& line) const {
  if (!make_state_folder(folder_).why.empty()) return;
  const auto path = folder_ / "history.jsonl";
  rotate(path);
  const files::File file(path, append_flags);
  if (!file.is_open()) return;
  const std::string text = (ends_inside_a_line(file.get()) ? "\n" : "") + line + "\n";
  while (::write(file.get(), text.data(), text.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace stillgate::fleet
