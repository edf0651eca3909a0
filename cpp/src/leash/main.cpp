// The program stillgate-leash: `stillgate hold -- COMMAND` starts it before anything is held, and
// it runs COMMAND and keeps its deadline, whoever is stopped or killed.
#include <cerrno>
#include <new>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "family.hpp"
#include "group.hpp"
#include "inner.hpp"
#include "message.hpp"
#include "outer.hpp"
#include "shared.hpp"

namespace {

using namespace stillgate::leash;

/// Whoever starts a leash talks to it over one; a person at a terminal has none.
bool has_peer() {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(peer, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

Page* make_page() {
  void* const place =
      ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return place == MAP_FAILED ? nullptr : new (place) Page;
}

/// From now on only SIGKILL and SIGSTOP do anything to this process. Errors: false, and errno.
bool prepare(Shared& shared) {
  sigset_t all{};
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &shared.mask);
  sigset_t ended{};
  ::sigemptyset(&ended);
  ::sigaddset(&ended, SIGCHLD);
  shared.page = make_page();
  shared.alarm = ::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  shared.outer = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  shared.children = ::signalfd(-1, &ended, SFD_NONBLOCK | SFD_CLOEXEC);
  return shared.page != nullptr && shared.alarm >= 0 && shared.outer >= 0 && shared.children >= 0;
}

int keep(char* const* arguments) {
  Shared shared{};
  const bool prepared = prepare(shared);
  const int error = errno;
  Family family;
  const Group group;
  shared.group = &group;
  const pid_t inner = prepared ? ::fork() : -1;
  if (inner < 0) {
    say(Said::unstarted, prepared ? errno : error);
    return 1;
  }
  if (inner == 0) {
    run_inner(shared, arguments);
  } else {
    run_outer(shared, family, inner);
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || !has_peer()) {
    static constexpr char words[] =
        "stillgate-leash is started by 'stillgate hold' only; do not run it by hand.\n";
    (void)!::write(STDERR_FILENO, words, sizeof words - 1);
    return 2;
  }
  return keep(arguments + 1);
}
