// Composing the line of HAProxy's own `wait`.
#include "wait_line.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "hold/waits/wait_mark.hpp"
#include "runtime_api/command.hpp"

namespace stillgate::hold {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds shortest_piece{100};
constexpr int longest_part = 10;  // of the time before it
/// HAProxy refuses what does not fit its buffer, of 16 kB by default.
constexpr std::size_t longest_line = 15'000;

}  // namespace

std::optional<std::string> wait_line(const Record& record, milliseconds left) {
  if (left > longest_wait_line) return std::nullopt;
  // HAProxy closes an idle connection of its command line after `stats timeout`, 10 s by default.
  auto line = fmt::format("set timeout cli {}s", wait_mark(record.id).count());
  for (milliseconds waited{0}; waited < left;) {
    const auto piece = std::min(left - waited, std::max(shortest_piece, waited / longest_part));
    line += fmt::format(";wait {}ms", piece.count());
    waited += piece;
  }
  for (const HeldSwitch& held : record.switches) {
    line += ';';
    line += runtime_api::Command::set_maxconn(held.frontend, held.limit_before)->text();
  }
  // In HAProxy's prompt mode (engine::HeldLine) it would stay open behind the last command.
  line += ";quit\n";
  return line.size() <= longest_line ? std::optional(std::move(line)) : std::nullopt;
}

}  // namespace stillgate::hold
