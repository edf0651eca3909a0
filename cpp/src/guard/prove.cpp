// What the prover reads, sends and answers.
#include "prove.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stillgate/endpoint.hpp>

#include "engine/held_line.hpp"
#include "engine/ssh_sessions.hpp"
#include "fleet/guard/order.hpp"
#include "hold/record/record.hpp"

namespace stillgate::guard {
namespace {

constexpr std::chrono::milliseconds patience{3000};
constexpr std::size_t most_workers = 16;
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

void send(Line& line) {
  auto endpoint = Endpoint::parse(line.url);
  if (!endpoint) {
    line.error = endpoint.error();
    return;
  }
  line.endpoint = *std::move(endpoint);
  line.held = std::make_unique<engine::HeldLine>(*line.endpoint);
  line.error = line.held->send(line.text, patience);
}

/// Side by side: a login takes its time. With fewer threads where there are no more.
void send_all(std::vector<Line>& lines) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < lines.size(); i = next++) send(lines[i]);
  };
  std::vector<std::jthread> workers;
  try {
    while (workers.size() + 1 < std::min(lines.size(), most_workers)) workers.emplace_back(work);
  } catch (const std::system_error&) {
  }
  work();
}

void say(const std::string& text) {
  (void)!::send(STDOUT_FILENO, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace

void prove_waits() {
  std::string order = read_order();
  // Until the process ends, and as it ends then: nobody closes them in order.
  static std::vector<Line>& lines = *new std::vector<Line>(parse(order));
  fleet::wipe(order);
  send_all(lines);
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
