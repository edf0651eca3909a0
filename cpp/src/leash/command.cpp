// fork and exec.
#include "command.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stillgate::leash {
namespace {

/// As execvp, but what the kernel cannot load is not given to a shell. Returns errno.
int execute(char* const* arguments) {
  if (std::strchr(arguments[0], '/') != nullptr) {
    ::execv(arguments[0], arguments);
    return errno;
  }
  const char* const folders = std::getenv("PATH");
  std::string_view rest = folders != nullptr ? folders : "/bin:/usr/bin";
  int worst = 0;
  for (;;) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    std::string path(folder);
    if (!path.empty()) path += '/';
    ::execv((path + arguments[0]).c_str(), arguments);
    if (errno != ENOENT && errno != ENOTDIR) worst = errno;
    if (folder.size() == rest.size()) return worst != 0 ? worst : ENOENT;
    rest.remove_prefix(folder.size() + 1);
  }
}

[[noreturn]] void become(char* const* arguments, const std::array<int, streams>& given,
                         const sigset_t& mask, const Group& group, pid_t parent, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  group.enter();
  ::setsid();
  for (int number = 0; number < streams; ++number) {
    const int stream = given.at(static_cast<std::size_t>(number));
    if (stream < 0) {
      ::close(number);
    } else {
      ::dup2(stream, number);
    }
  }
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  const int error = execute(arguments);
  (void)!::write(failure, &error, sizeof error);
  ::_exit(1);
}

}  // namespace

Started start_command(char* const* arguments, const std::array<int, streams>& given,
                      const sigset_t& mask, const Group& group) {
  Started started;
  std::array<int, 2> failure{-1, -1};
  if (::pipe2(failure.data(), O_CLOEXEC) == 0) {
    const pid_t parent = ::getpid();
    started.pid = ::fork();
    if (started.pid == 0) become(arguments, given, mask, group, parent, failure[1]);
    started.error = started.pid < 0 ? errno : 0;
    ::close(failure[1]);
    // Its end closes with the exec.
    if (started.pid > 0 && ::read(failure[0], &started.error, sizeof(int)) == sizeof(int)) {
      ::waitpid(started.pid, nullptr, 0);
      started.pid = -1;
    }
    ::close(failure[0]);
  } else {
    started.error = errno;
  }
  for (const int stream : given) {
    if (stream >= 0) ::close(stream);
  }
  return started;
}

}  // namespace stillgate::leash
