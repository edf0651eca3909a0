// Reading the timer of a probe that waits.
#include "held_probe.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runtime_api/command.hpp"
#include "runtime_api/release.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;
using runtime_api::Stream;

std::vector<Command> held_probe_commands(const std::vector<std::string>& frontends,
                                         const Seen& seen) {
  if (seen.error || !seen.gate || !seen.info) return {};
  if (!runtime_api::may_cut_complete_requests(seen.info->version)) return {};
  return {*Command::gate_held(frontends), Command::show_streams()};
}

void read_held_probe(Seen& seen, const Answer& answer, const std::vector<std::string>& frontends) {
  if (!seen.gate || answer.error || answer.replies.size() != 2) return;
  if (answer.replies[0].refusal || answer.replies[1].refusal) return;
  const auto listed = runtime_api::parse_gate_held(answer.replies[0].text);
  const auto streams = runtime_api::parse_streams(answer.replies[1].text);
  if (!listed || !streams) return;
  seen.gate->cut_s.assign(frontends.size(), std::nullopt);
  seen.gate->cut_missed.assign(frontends.size(), false);
  for (std::size_t j = 0; j < frontends.size(); ++j) {
    const auto number = listed->find(frontends[j]);
    if (number == listed->end()) continue;
    seen.gate->cut_missed[j] = true;
    const std::string source = "unix:" + number->second;
    for (const Stream& stream : *streams) {
      const bool waits =
          stream.frontend == frontends[j] && stream.source == source && stream.in_rules;
      if (!waits) continue;
      seen.gate->cut_missed[j] = false;
      seen.gate->cut_s[j] = std::max(seen.gate->cut_s[j], stream.left_s);
    }
  }
}

std::optional<Error> cut_too_soon(const Seen& seen, std::size_t frontend,
                                  std::chrono::milliseconds longest) {
  if (!seen.gate || frontend >= seen.gate->cut_s.size()) return std::nullopt;
  if (seen.gate->cut_missed[frontend]) {
    return Error{
        Errc::client_timeout_unknown,
        fmt::format("this HAProxy {} may end a held request when 'timeout client' of its frontend "
                    "is over, and 'show sess' had lost the probe that tells when: it was slower "
                    "than a second between two commands of one line; try again when it is less "
                    "busy",
                    seen.info->version)};
  }
  const auto& cut_s = seen.gate->cut_s[frontend];
  if (!cut_s || longest <= std::chrono::seconds(*cut_s)) return std::nullopt;
  return Error{
      Errc::client_timeout_short,
      fmt::format(
          "this HAProxy {} ends a held request when 'timeout client' of its frontend is over, "
          "here within {} s, and this hold may last {:.3g} s; make 'timeout client' longer than "
          "that, or hold for less",
          seen.info->version, *cut_s + 1, std::chrono::duration<double>(longest).count())};
}

}  // namespace stillgate::hold
