// Starting the prover, reading its answers, and killing it.
#include "prover.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/ssh_sessions.hpp"
#include "fleet/ask_program.hpp"
#include "fleet/send_all.hpp"
#include "launch.hpp"
#include "order.hpp"

namespace stillgate::fleet {

using hold::observed::Proving;

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds slice{20};
constexpr milliseconds patience{5000};

Proving all_failed(const hold::step::ProveWaits& wanted, const Error& error) {
  Proving result;
  for (const auto& [url, line] : wanted.lines) result.failures.emplace_back(url, error);
  return result;
}

std::string order_of(const hold::step::ProveWaits& wanted) {
  std::string secrets = engine::export_secrets();
  std::string text = "secrets " + hold::escape(secrets) + "\n";
  wipe(secrets);
  for (const auto& [url, line] : wanted.lines) {
    text += "line " + hold::escape(url) + " " + hold::escape(line) + "\n";
  }
  return text + "go\n";
}

/// All that it says, until it says that it is done; empty where it does not come to that.
std::string read_answer(int from, const std::stop_token& stop) {
  static constexpr std::string_view end = "done\n";
  const auto until = Clock::now() + patience;
  std::string said;
  while (!said.ends_with(end)) {
    if (stop.stop_requested() || Clock::now() >= until) return {};
    pollfd watched{from, POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(slice.count())) <= 0) continue;
    std::array<char, 4096> piece{};
    const ssize_t n = ::read(from, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    said.append(piece.data(), static_cast<std::size_t>(n));
  }
  return said;
}

}  // namespace

Proving WaitProver::start(const hold::step::ProveWaits& wanted, const std::stop_token& stop) {
  end();
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return all_failed(wanted, {Errc::system_error, "no socket could be made"});
  }
  control_ = ends[0];
  const auto child = launch_prover(ends[1]);
  ::close(ends[1]);
  if (!child) return all_failed(wanted, child.error());
  process_ = *child;
  std::string order = order_of(wanted);
  const bool sent = send_all(control_, order);
  wipe(order);
  std::string answer = sent ? read_answer(control_, stop) : std::string();
  if (answer.empty()) {
    return all_failed(wanted, {Errc::guard_failed, "the process that sends it did not answer"});
  }
  Proving result;
  for (std::string_view left = answer; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(line.size() + 1);
    if (!line.starts_with("refused ")) continue;
    Error error = decode_refusal(line);
    std::string url = std::exchange(error.field, "");
    result.failures.emplace_back(std::move(url), std::move(error));
  }
  return result;
}

void WaitProver::end() noexcept {
  if (control_ >= 0) ::close(std::exchange(control_, -1));
  const pid_t process = std::exchange(process_, -1);
  if (process >= 0) end_child(process);
}

}  // namespace stillgate::fleet
