// The program stillgate-guard: started by a suspend, it outlives whoever held.
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.hpp"

namespace {

/// In the background and in a session of its own: no terminal's end, and no Ctrl-C meant for others,
/// reaches it.
bool detach(bool twin) {
  const pid_t child = ::fork();
  if (child != 0) ::_exit(child < 0 ? 1 : 0);
  ::setsid();
  for (const int number : {SIGHUP, SIGINT, SIGPIPE}) ::signal(number, SIG_IGN);
  ::close_range(twin ? 4 : 3, ~0U, 0);
  ::umask(077);
  return ::chdir("/") == 0;
}

std::string read_order() {
  std::string text;
  char byte = 0;
  // Byte by byte: what follows the order is for the guard's own loop.
  while (!text.ends_with("\ngo\n") && ::read(STDIN_FILENO, &byte, 1) == 1) text += byte;
  return text;
}

}  // namespace

int main(int count, char** arguments) {
  using stillgate::fleet::GuardOrder;
  // Many threads that each need little: one heap for all keeps the process small.
  ::mallopt(M_ARENA_MAX, 1);
  const bool twin = count == 2 && std::strcmp(arguments[1], "--twin") == 0;
  if (count > (twin ? 2 : 1) || ::isatty(STDIN_FILENO) == 1) {
    static constexpr char words[] =
        "stillgate-guard is started by 'stillgate suspend', and by nobody else.\n";
    (void)!::write(STDERR_FILENO, words, sizeof words - 1);
    return 2;
  }
  if (!detach(twin)) return 1;
  if (twin) {
    auto order = stillgate::guard::stand_by();
    if (!order) return 0;
    stillgate::guard::Guard(*std::move(order)).run();
    return 0;
  }
  auto order = stillgate::fleet::decode_order(read_order());
  if (!order) return 2;
  stillgate::guard::Guard(*std::move(order)).run();
  return 0;
}
