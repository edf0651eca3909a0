// Starting a shell by two forks, so that our caller has no child to wait for.
#include "shell.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stillgate::fleet {
namespace {

constexpr int first_of_others = 3;
constexpr rlim_t most_to_close = 1U << 20U;
constexpr int not_started = 127;

/// All that the child needs, made before the fork: in the child other threads' locks stay locked,
/// and only async-signal-safe calls are allowed.
struct Start {
  std::vector<char*> argv;
  std::vector<char*> envp;
  int input{-1};
  int nothing{-1};  ///< /dev/null
  int files{0};     ///< all descriptors are below this
};

/// In a process that was started without standard files, a new file may get one of their numbers.
/// Then dup2 would copy it onto itself and leave it to close on exec.
int above_standard(int fd) {
  if (fd < 0 || fd >= first_of_others) return fd;
  const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, first_of_others);
  ::close(fd);
  return higher;
}

/// The input as a file in memory: a pipe holds 64 kB at most, and breaks if the command does not
/// read it.
int memory_with(const std::string& text) {
  const int fd = above_standard(::memfd_create("stillgate-event", MFD_CLOEXEC));
  if (fd < 0) return -1;
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(fd, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    written += static_cast<std::size_t>(n);
  }
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

void close_others(int below) {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, static_cast<unsigned>(first_of_others), ~0U, 0U) == 0) return;
#endif
  for (int fd = first_of_others; fd < below; ++fd) ::close(fd);
}

[[noreturn]] void become_shell(const Start& start) {
  ::dup2(start.input, STDIN_FILENO);
  ::dup2(start.nothing, STDOUT_FILENO);
  ::dup2(start.nothing, STDERR_FILENO);
  close_others(start.files);
  // Python ignores it, and a shell's pipelines would inherit that.
  std::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve("/bin/sh", start.argv.data(), start.envp.data());
  ::_exit(not_started);
}

void fork_twice(const Start& start) {
  // No signal handler of this process may run in the child.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    if (::fork() == 0) become_shell(start);
    ::_exit(0);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return;
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

void start_shell(const std::string& command, const std::string& input, const std::string& name,
                 const std::string& value) {
  std::string shell = "/bin/sh";
  std::string option = "-c";
  std::string text = command;
  const std::string prefix = name + '=';
  std::string variable = prefix + value;
  Start start;
  start.argv = {shell.data(), option.data(), text.data(), nullptr};
  start.envp = {variable.data()};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(prefix)) start.envp.push_back(*entry);
  }
  start.envp.push_back(nullptr);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    start.files = static_cast<int>(std::min(limit.rlim_cur, most_to_close));
  }
  start.input = memory_with(input);
  start.nothing = above_standard(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (start.input >= 0 && start.nothing >= 0) fork_twice(start);
  if (start.input >= 0) ::close(start.input);
  if (start.nothing >= 0) ::close(start.nothing);
}

}  // namespace stillgate::fleet
