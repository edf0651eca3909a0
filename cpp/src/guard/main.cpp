// The program stillgate-guard: a suspend starts it, and it outlives the holder.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/boot_clock.hpp"
#include "engine/ssh_sessions.hpp"
#include "guard.hpp"
#include "hold/guard/guard_plan.hpp"
#include "prove.hpp"
#include "provisions.hpp"
#include "standby.hpp"

namespace {

using std::chrono::milliseconds;

/// In the background and in its own session: no terminal's end, and no Ctrl-C meant for
/// others, reaches it. The working folder stays: ssh_config may name files relative to it.
void detach(bool is_standby) {
  // A standby is in the background already. But its child does not count the pages of the libraries
  // that only its start has used.
  const pid_t child = ::fork();
  if (child != 0) ::_exit(child < 0 ? 1 : 0);
  ::setsid();
  for (const int number : {SIGHUP, SIGINT, SIGPIPE}) ::signal(number, SIG_IGN);
  if (!is_standby) ::close(stillgate::guard::standby_descriptor);
  ::close_range(stillgate::guard::program_descriptor + 1, ~0U, 0);
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

/// A guard that takes over holds something: it goes on until it has what it needs.
void guard_until_the_end(stillgate::fleet::GuardOrder& order, const std::string& received,
                         stillgate::guard::Provisions& provisions, bool took_over) {
  constexpr timespec pause{0, 50'000'000};
  std::optional<stillgate::guard::Guard> guard;
  while (!guard) {
    try {
      take_secrets(order);
      (void)provisions.take(order);
      if (provisions.are_enough()) {
        guard.emplace(order, received, provisions);
        // What is held waits for no disk.
        provisions.show(order, took_over ? milliseconds(0) : milliseconds(1000));
      }
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): tried again
    }
    if (!guard) ::nanosleep(&pause, nullptr);
  }
  guard->run(took_over);
}

/// Where each guard dies as soon as it begins, each leaves a standby guard that begins: that must
/// be no storm of processes, and not for ever.
bool may_begin(const stillgate::fleet::GuardOrder& order, std::chrono::milliseconds standby_since) {
  using stillgate::engine::boot_time;
  constexpr std::chrono::milliseconds too_short{500};
  constexpr timespec pause{0, 200'000'000};
  if (boot_time() - standby_since < too_short) ::nanosleep(&pause, nullptr);
  return boot_time() < order.deadline + stillgate::hold::GuardPlan::given_up_after;
}

int be_standby() {
  const auto since = stillgate::engine::boot_time();
  stillgate::guard::Provisions provisions;
  auto order = stillgate::guard::stand_by(provisions);
  if (!order || !may_begin(*order, since)) {
    provisions.leave();
    return 0;
  }
  guard_until_the_end(*order, {}, provisions, true);
  return 0;
}

void refuse(const stillgate::Error& error) {
  const std::string line = stillgate::fleet::encode_refusal("", error);
  (void)!::send(STDOUT_FILENO, line.data(), line.size(), MSG_NOSIGNAL);
}

int be_guard() {
  auto [text, received] = read_order();
  auto order = stillgate::fleet::decode_order(text);
  stillgate::fleet::wipe(text);
  if (!order) return 2;
  stillgate::guard::Provisions provisions;
  if (const auto error = provisions.take(*order);
      error && order->mode == stillgate::hold::GuardMode::arming) {
    refuse(*error);
    return 1;
  }
  guard_until_the_end(*order, received, provisions, false);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  // A standby is started by its descriptor, and would be called after that.
  ::prctl(PR_SET_NAME, "stillgate-guard");
  // One heap for all threads keeps the process small.
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
  const auto lost = is_standby ? std::nullopt : stillgate::guard::keep_program();
  detach(is_standby);
  if (lost) {
    refuse({stillgate::Errc::guard_failed, "the guard " + *lost});
    return 1;
  }
  try {
    return is_standby ? be_standby() : be_guard();
  } catch (const std::exception&) {
    // It guards nothing yet. Whoever started it sees its end.
    return 1;
  }
}
