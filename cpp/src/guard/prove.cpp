// What the prover reads, sends and answers.
#include "prove.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stillgate/endpoint.hpp>

#include "engine/file_limit.hpp"
#include "engine/held_line.hpp"
#include "engine/link.hpp"
#include "engine/loop.hpp"
#include "engine/ssh_sessions.hpp"
#include "fleet/guard/order.hpp"
#include "hold/record/record.hpp"

namespace stillgate::guard {
namespace {

constexpr std::chrono::milliseconds patience{3000};
constexpr std::string_view end_of_order = "\ngo\n";

struct Line {
  std::string url;
  std::string text;
  std::optional<Endpoint> endpoint{};
  std::unique_ptr<engine::HeldLine> held{};
  std::optional<Error> error{};
};

std::string read_order() {
  std::string text;
  std::array<char, 4096> piece{};
  while (!text.ends_with(end_of_order)) {
    const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return text;
}

std::string_view take(std::string_view& text, char until) {
  const std::size_t end = text.find(until);
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

std::vector<Line> parse(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    const std::string_view key = take(line, ' ');
    if (key == "secrets") {
      auto secrets = hold::unescape(line);
      if (!secrets || secrets->empty()) continue;
      // As a guard's: this process leaves no core.
      ::prctl(PR_SET_DUMPABLE, 0);
      engine::import_secrets(*secrets);
      fleet::wipe(*secrets);
    } else if (key == "line") {
      const auto url = hold::unescape(take(line, ' '));
      const auto words = hold::unescape(line);
      if (url && words) lines.push_back({*url, *words});
    }
  }
  return lines;
}

void begin(engine::Loop& loop, Line& line) {
  auto endpoint = Endpoint::parse(line.url);
  if (!endpoint) {
    line.error = endpoint.error();
    return;
  }
  line.endpoint = *std::move(endpoint);
  try {
    line.held = std::make_unique<engine::HeldLine>(*line.endpoint, loop, line.text);
  } catch (const std::exception& failure) {
    line.error = Error{Errc::system_error, failure.what()};
  }
}

bool is_under_way(const Line& line) {
  return !line.error && !line.held->is_sent() && !line.held->error();
}

void send_all(engine::Loop& loop, std::vector<Line>& lines) {
  constexpr std::chrono::milliseconds turn{10};
  for (Line& line : lines) begin(loop, line);
  const auto until = engine::Clock::now() + patience;
  while (engine::Clock::now() < until && std::any_of(lines.begin(), lines.end(), is_under_way)) {
    loop.turn(turn);
  }
  for (Line& line : lines) {
    if (line.error || line.held->is_sent()) continue;
    line.error =
        line.held->error().value_or(Error{Errc::connect_timeout, "it was not sent in time"});
  }
}

void say(const std::string& text) {
  (void)!::send(STDOUT_FILENO, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace

void prove_waits() {
  std::string order = read_order();
  // Until the process ends, and as it ends then: nobody closes them in order.
  static std::vector<Line>& lines = *new std::vector<Line>(parse(order));
  static engine::Loop& loop = *new engine::Loop(patience);
  fleet::wipe(order);
  (void)engine::connection_capacity(lines.size());
  send_all(loop, lines);
  for (const Line& line : lines) {
    if (line.error) say(fleet::encode_refusal(line.url, *line.error));
  }
  say("done\n");
  std::array<char, 64> piece{};
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (n == 0 || (n < 0 && errno != EINTR)) return;
  }
}

}  // namespace stillgate::guard
