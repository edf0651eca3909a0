// The program stillgate-guard: a suspend starts it, and it outlives the holder.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ssh_sessions.hpp"
#include "guard.hpp"
#include "prove.hpp"

namespace {

/// In the background and in its own session: no terminal's end, and no Ctrl-C meant for
/// others, reaches it. The working folder stays: ssh_config may name files relative to it.
void detach(bool is_standby) {
  const pid_t child = ::fork();
  if (child != 0) ::_exit(child < 0 ? 1 : 0);
  ::setsid();
  for (const int number : {SIGHUP, SIGINT, SIGPIPE}) ::signal(number, SIG_IGN);
  ::close_range(is_standby ? 4 : 3, ~0U, 0);
  ::umask(077);
}

/// Whoever starts a guard talks to it over one; a person at a terminal has none.
bool is_socket(int descriptor) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 && S_ISSOCK(found.st_mode);
}

/// The order, and what has already come after it.
std::pair<std::string, std::string> read_order() {
  static constexpr std::string_view end_of_order = "\ngo\n";
  std::string text;
  std::array<char, 65536> piece{};
  for (;;) {
    const std::size_t end = text.find(end_of_order);
    if (end != std::string::npos) {
      const std::size_t length = end + end_of_order.size();
      return {text.substr(0, length), text.substr(length)};
    }
    const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
}

void take_secrets(stillgate::fleet::GuardOrder& order) {
  if (order.secrets.empty()) return;
  // Pieces of them may lie where nobody can wipe them any more: this process leaves no core.
  ::prctl(PR_SET_DUMPABLE, 0);
  stillgate::engine::import_secrets(order.secrets);
  stillgate::fleet::wipe(order.secrets);
}

}  // namespace

int main(int count, char** arguments) {
  // The standby is started as /proc/self/exe, and would be called that.
  ::prctl(PR_SET_NAME, "stillgate-guard");
  // Many threads that each need little: one heap for all keeps the process small.
  ::mallopt(M_ARENA_MAX, 1);
  const bool is_standby = count == 2 && std::strcmp(arguments[1], "--standby") == 0;
  const bool is_prover = count == 2 && std::strcmp(arguments[1], "--prove") == 0;
  if (count > (is_standby || is_prover ? 2 : 1) || !is_socket(STDIN_FILENO)) {
    static constexpr char words[] =
        "stillgate-guard is started by 'stillgate suspend' only; do not run it by hand.\n";
    (void)!::write(STDERR_FILENO, words, sizeof words - 1);
    return 2;
  }
  if (is_prover) {
    ::close_range(3, ~0U, 0);
    ::signal(SIGPIPE, SIG_IGN);
    stillgate::guard::prove_waits();
    ::_exit(0);
  }
  detach(is_standby);
  if (is_standby) {
    auto order = stillgate::guard::stand_by();
    if (!order) return 0;
    take_secrets(*order);
    stillgate::guard::Guard(*order, {}).run();
    return 0;
  }
  auto [text, received] = read_order();
  auto order = stillgate::fleet::decode_order(text);
  stillgate::fleet::wipe(text);
  if (!order) return 2;
  take_secrets(*order);
  stillgate::guard::Guard(*order, std::move(received)).run();
  return 0;
}
