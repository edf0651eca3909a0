// Reads /proc/*/stat, and sends signals.
#include "family.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace stillgate::leash {
namespace {

constexpr int rounds = 20;  // of new processes while the others are told

std::optional<Relative> read_relative(int proc, const char* name) {
  std::array<char, 300> path{};
  std::snprintf(path.data(), path.size(), "%s/stat", name);
  const int file = ::openat(proc, path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::array<char, 512> text{};
  const ssize_t count = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  if (count <= 0) return std::nullopt;
  // A process names itself as it likes, with brackets too.
  const char* const named = std::strrchr(text.data(), ')');
  char state = 0;
  pid_t parent = 0;
  if (named == nullptr || std::sscanf(named + 1, " %c %d", &state, &parent) != 2) {
    return std::nullopt;
  }
  return Relative{std::atoi(name), parent, state == 'Z' || state == 'X'};
}

bool has(const std::vector<pid_t>& sorted, pid_t pid) {
  return std::binary_search(sorted.begin(), sorted.end(), pid);
}

void add(std::vector<pid_t>& sorted, pid_t pid) {
  sorted.insert(std::lower_bound(sorted.begin(), sorted.end(), pid), pid);
}

}  // namespace

std::vector<pid_t> below(const std::vector<Relative>& all, pid_t top) {
  std::vector<pid_t> known{top};
  std::vector<pid_t> found;
  for (bool more = true; more;) {
    more = false;
    for (const Relative& one : all) {
      if (has(known, one.pid) || !has(known, one.parent)) continue;
      add(known, one.pid);
      if (!one.dead) found.push_back(one.pid);
      more = true;
    }
  }
  return found;
}

Family::Family() : proc_(::opendir("/proc")) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Where it is not mounted there is an empty folder.
  if (proc_ != nullptr && !read_relative(::dirfd(proc_), "self")) {
    ::closedir(proc_);
    proc_ = nullptr;
  }
}

Family::~Family() {
  if (proc_ != nullptr) ::closedir(proc_);
}

std::vector<pid_t> Family::find() {
  std::vector<Relative> all;
  ::rewinddir(proc_);
  while (const dirent* const entry = ::readdir(proc_)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (auto one = read_relative(::dirfd(proc_), entry->d_name)) all.push_back(*one);
  }
  return below(all, ::getpid());
}

void Family::tell(int number) {
  std::vector<pid_t> told;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t before = told.size();
    for (const pid_t pid : find()) {
      if (has(told, pid)) continue;
      ::kill(pid, number);
      ::kill(pid, SIGCONT);
      add(told, pid);
    }
    if (told.size() == before) return;
  }
}

void Family::kill() {
  for (const pid_t pid : find()) ::kill(pid, SIGKILL);
}

}  // namespace stillgate::leash
