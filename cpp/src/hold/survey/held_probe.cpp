// Reading the timer of a probe that waits.
#include "held_probe.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "runtime_api/command.hpp"
#include "runtime_api/release.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Command;
using runtime_api::Stream;

namespace {

Result<std::map<std::string, std::string>> probes_in(const Answer& answer) {
  if (answer.error) return *answer.error;
  return runtime_api::parse_gate_held(answer.replies[0].text);
}

Result<std::vector<Stream>> streams_in(const Answer& answer) {
  if (answer.error) return *answer.error;
  if (answer.replies.size() != 2) return Error{Errc::malformed_reply, "show sess: no answer"};
  if (answer.replies[1].refusal) return *answer.replies[1].refusal;
  return runtime_api::parse_streams(answer.replies[1].text);
}

}  // namespace

std::vector<Command> held_probe_commands(const std::vector<std::string>& frontends,
                                         const Seen& seen) {
  if (seen.error || !seen.gate || !seen.info) return {};
  if (!runtime_api::may_cut_complete_requests(seen.info->version)) return {};
  return {*Command::gate_held(frontends), Command::show_streams()};
}

void read_held_probe(Seen& seen, const Answer& answer, const std::vector<std::string>& frontends) {
  const bool asked = !held_probe_commands(frontends, seen).empty();
  if (!asked || (!answer.error && answer.replies.empty())) return;
  // A gate of an earlier release does not know the command.
  if (!answer.error && answer.replies[0].refusal) return;
  seen.gate->cuts.assign(frontends.size(), {});
  const auto numbers = probes_in(answer);
  const auto streams = streams_in(answer);
  for (std::size_t j = 0; j < frontends.size(); ++j) {
    auto& cut = seen.gate->cuts[j];
    if (!numbers || !streams) {
      cut.unknown = (numbers ? streams.error() : numbers.error()).message;
      continue;
    }
    const auto number = numbers->find(frontends[j]);
    if (number == numbers->end()) continue;
    cut.unknown = "'show sess' no longer listed it, as where HAProxy is very slow";
    const std::string source = "unix:" + number->second;
    for (const Stream& stream : *streams) {
      const bool waits =
          stream.frontend == frontends[j] && stream.source == source && stream.in_rules;
      if (!waits) continue;
      cut.unknown.reset();
      cut.after_s = std::max(cut.after_s, stream.left_s);
    }
  }
}

std::optional<Error> cut_too_soon(const Seen& seen, std::size_t frontend,
                                  std::chrono::milliseconds longest) {
  if (!seen.gate || frontend >= seen.gate->cuts.size()) return std::nullopt;
  if (const auto& unknown = seen.gate->cuts[frontend].unknown) {
    return Error{
        Errc::client_timeout_unknown,
        fmt::format("this HAProxy {} may end a held request when 'timeout client' of its "
                    "frontend is over, and the probe that tells when did not: {}; try again",
                    seen.info->version, *unknown)};
  }
  const auto& cut_s = seen.gate->cuts[frontend].after_s;
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
