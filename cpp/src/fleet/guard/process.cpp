// Starting a guard, sending it the order, and reading its answers.
#include "process.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fmt/format.h>

#include <stillgate/fleet.hpp>

#include "fleet/ask_program.hpp"
#include "fleet/send_all.hpp"
#include "launch.hpp"

namespace stillgate::fleet {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds slice{20};  ///< so soon it is seen that the caller stops
constexpr std::size_t longest_told = 60;

Error failed(std::string_view what, std::string_view why) {
  return {Errc::guard_failed,
          fmt::format("the guard (it ends a hold by maxconn if its owner dies) {}: {}", what, why)};
}

std::string system_message(int number) { return std::system_category().message(number); }

/// A program that reads nothing must not hang whoever writes to it.
void bound_writes(int fd, milliseconds patience) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
  const timeval time{us / 1'000'000, us % 1'000'000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

/// Both ends close on exec; each end is this process's until it is moved to a child.
struct Channel {
  std::array<int, 2> ends{-1, -1};
  [[nodiscard]] bool open() {
    return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0;
  }
  int take(std::size_t which) { return std::exchange(ends.at(which), -1); }
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
};

}  // namespace

Result<GuardProcess> GuardProcess::start(const GuardOrder& order,
                                         const std::vector<std::string>& way_out,
                                         milliseconds patience, const std::stop_token& stop) {
  // Sockets, because a write into one whose reader died gives an error in place of a signal.
  Channel to;
  Channel from;
  if (!to.open() || !from.open()) return failed("could not be started", system_message(errno));
  const auto child = launch_guard(to.ends[0], from.ends[0], way_out);
  if (!child) return failed("could not be started", child.error().message);
  GuardProcess guard(to.take(1), from.take(1));
  ::close(to.take(0));
  ::close(from.take(0));
  bound_writes(guard.to_, patience);
  std::string text = encode(order);
  const bool sent = guard.say(text);
  const int number = errno;
  wipe(text);
  const auto error = sent ? guard.take_answer(patience, stop)
                          : failed("could not get the hold",
                                   fmt::format("{}: {}", guard_program(), system_message(number)));
  // A guard's first process has ended. What is no guard must not be left behind.
  end_child(*child);
  if (error) return *error;
  return guard;
}

/// The guard's first line, behind those of events: the deadline may have passed before it was
/// ready.
std::optional<Error> GuardProcess::take_answer(milliseconds patience, const std::stop_token& stop) {
  const auto line = read_answer(patience, stop);
  if (!line) {
    if (stop.stop_requested()) return Error{Errc::cancelled, "stopped by the caller"};
    return failed("did not start", fmt::format("{} did not answer in time, or died; is it the "
                                               "guard of this release ($STILLGATE_GUARD)?",
                                               guard_program()));
  }
  if (line->starts_with("refused ")) return decode_refusal(*line);
  if (!line->starts_with("ready")) {
    return failed("gave an unknown answer",
                  fmt::format("is {} the guard of this release ($STILLGATE_GUARD)? It said '{}'",
                              guard_program(), line->substr(0, longest_told)));
  }
  std::string_view rest = std::string_view(*line).substr(sizeof("ready") - 1);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    if (const auto url = hold::unescape(word)) backed_.push_back(*url);
  }
  return std::nullopt;
}

GuardProcess::GuardProcess(GuardProcess&& other) noexcept
    : to_(std::exchange(other.to_, -1)),
      from_(std::exchange(other.from_, -1)),
      unread_(std::move(other.unread_)),
      backed_(std::move(other.backed_)) {}

GuardProcess& GuardProcess::operator=(GuardProcess&& other) noexcept {
  if (this != &other) {
    close();
    to_ = std::exchange(other.to_, -1);
    from_ = std::exchange(other.from_, -1);
    unread_ = std::move(other.unread_);
    backed_ = std::move(other.backed_);
  }
  return *this;
}

GuardProcess::~GuardProcess() { close(); }

void GuardProcess::close() noexcept {
  if (to_ >= 0) ::close(to_);
  if (from_ >= 0) ::close(from_);
  to_ = from_ = -1;
}

bool GuardProcess::say(std::string_view text) const { return send_all(to_, text); }

std::optional<std::string> GuardProcess::read_line(milliseconds patience,
                                                   const std::stop_token& stop) {
  const auto until = Clock::now() + patience;
  for (;;) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (stop.stop_requested() || Clock::now() >= until) return std::nullopt;
    pollfd watched{from_, POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(slice.count())) <= 0) continue;
    std::array<char, 4096> piece{};
    const ssize_t n = ::read(from_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    unread_.append(piece.data(), static_cast<std::size_t>(n));
  }
}

std::optional<std::string> GuardProcess::read_answer(milliseconds patience,
                                                     const std::stop_token& stop) {
  const auto until = Clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
    auto line = read_line(std::max(left, milliseconds(0)), stop);
    if (!line || !line->starts_with("event ")) return line;
  }
}

std::optional<Error> GuardProcess::hold(milliseconds patience) {
  auto gone = failed("has ended", "it died, or the hold's deadline has passed");
  if (!say("hold\n")) return gone;
  const auto line = read_answer(patience, {});
  return line == "holding" ? std::nullopt : std::optional(gone);
}

void GuardProcess::dismiss() { say("leave\n"); }

void GuardProcess::end_hold() { say("end\n"); }

}  // namespace stillgate::fleet
