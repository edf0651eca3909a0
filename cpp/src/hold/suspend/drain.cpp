// The course of a drain.
#include "drain.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "hold/survey/left_out.hpp"

namespace stillgate::hold::drain {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using runtime_api::Reply;
using runtime_api::Stream;
using std::chrono::milliseconds;

namespace {

constexpr int most_failures = 2;  // one lost look is no loss: the next is on a new connection
constexpr std::size_t most_named = 3;

std::string name_streams(const std::vector<Stream>& streams, const std::string& frontend) {
  std::string names;
  std::size_t count = 0;
  for (const Stream& stream : streams) {
    if (stream.frontend != frontend) continue;
    if (++count > most_named) continue;
    names += fmt::format("{}{} to {}/{} for {} s", count > 1 ? ", " : "", stream.source,
                         stream.backend.value_or("-"), stream.server.value_or("(queued)"),
                         stream.age_s.value_or(0));
  }
  if (count > most_named) names += fmt::format(" and {} more", count - most_named);
  return names;
}

/// Of endless streams, as the operator says.
NameList left_out(const SuspendRequest& request) {
  return NameList(request.hold.options.drain_except);
}

std::int64_t count_of(const std::vector<Stream>& streams, const std::string& frontend) {
  return std::count_if(streams.begin(), streams.end(),
                       [&frontend](const Stream& stream) { return stream.frontend == frontend; });
}

/// Not all that came since the switch is accounted for yet.
bool is_counting(const SuspendedEndpoint& endpoint) {
  return std::ranges::any_of(endpoint.switches, [&endpoint](const SuspendedSwitch& row) {
    const auto* gate = row.gate.used ? endpoint.last.gate_switch(row.place) : nullptr;
    return gate != nullptr && gate->all_unseen && !gate->unseen;
  });
}

bool lists_nothing(const DrainState& drain) { return drain.streams && drain.streams->empty(); }

/// Whether the last look found that endpoint drained.
void weigh(SuspendedEndpoint& endpoint, const NameList& except, bool listed_empty) {
  DrainState& drain = endpoint.drain;
  if (is_counting(endpoint)) return;
  std::int64_t begun = 0;
  std::int64_t sessions = 0;
  for (const SuspendedSwitch& row : endpoint.switches) {
    const auto& frontend = endpoint.last.frontends[row.place];
    if (!frontend || row.gate.used) continue;
    begun += frontend->begun;
    sessions += frontend->sessions;
  }
  if (drain.quiet_begun == begun) {
    drain.drained = true;
    return;
  }
  drain.quiet_begun.reset();
  if (endpoint.last.in_flight(except) > 0 && !listed_empty) return;
  drain.drained = sessions == 0;
  drain.quiet_begun = begun;
}

std::int64_t in_flight(const SuspendRows& rows, const NameList& except) {
  std::int64_t sum = 0;
  for (const SuspendedEndpoint& endpoint : rows) {
    const auto& streams = endpoint.drain.streams;
    if (endpoint.drain.drained) continue;
    sum += streams ? static_cast<std::int64_t>(streams->size()) : endpoint.last.in_flight(except);
  }
  return sum;
}

/// The hold itself may be over: a reload, a restart, somebody's hand. A gate outlives a reload.
std::optional<Error> ended(const SuspendedEndpoint& endpoint, const Seen& now,
                           bool accept_unproven) {
  for (const SuspendedSwitch& row : endpoint.switches) {
    if (row.gate.used) {
      if (now.gate_holds(row.place)) {
        const auto unseen = now.gate_switch(row.place)->unseen.value_or(0);
        if (unseen == 0 || accept_unproven) continue;
        return Error{
            Errc::gate_bypassed,
            fmt::format("{} requests passed beside the gate of '{}' while it held: a rule with a "
                        "condition comes before the gate's lines, perhaps in 'defaults'; put the "
                        "lines before it, or use --accept-unproven",
                        unseen, row.report.frontend)};
      }
      return Error{Errc::gate_failed,
                   "the gate is open: its deadline passed, or somebody else opened it, while this "
                   "HAProxy drained"};
    }
    if (now.info->stopping || !now.same_process(endpoint.last)) {
      return Error{Errc::haproxy_restarted,
                   "this HAProxy was reloaded or restarted while it drained, which ends its hold"};
    }
    if (now.limit(row.place) == 0) continue;
    return Error{Errc::limit_mismatch, "somebody else set the limit while this HAProxy drained"};
  }
  return std::nullopt;
}

/// A stream of the list before. A pointer may be used again, by one that is younger.
bool was_listed(const std::vector<Stream>& before, const Stream& stream) {
  return std::ranges::any_of(before, [&stream](const Stream& one) {
    return one.pointer == stream.pointer && one.source == stream.source &&
           stream.age_s.value_or(0) >= one.age_s.value_or(0);
  });
}

/// What a gate lets pass while it holds is exempt: the drain waits only for what was there when it
/// was listed first. What passes beside the gate is counted elsewhere, and ends the hold.
void forget_exempt(DrainState& drain, std::vector<Stream>& streams,
                   const std::set<std::string_view>& gated) {
  std::erase_if(streams, [&](const Stream& stream) {
    return drain.before && gated.contains(stream.frontend) && !was_listed(*drain.before, stream);
  });
  drain.before = streams;
}

/// Where the list cannot be read, the counters alone decide.
void read_streams(SuspendedEndpoint& endpoint, const SuspendRequest& request,
                  const std::optional<Reply>& listed, std::span<const Reply> tables) {
  if (!listed || listed->refusal) return;
  auto streams = runtime_api::parse_streams(listed->text);
  if (!streams) return;
  std::set<std::string_view> ours;
  std::set<std::string_view> gated;
  for (const SuspendedSwitch& row : endpoint.switches) {
    ours.insert(row.report.frontend);
    if (row.gate.used && !request.hold.options.accept_unproven) gated.insert(row.report.frontend);
  }
  std::erase_if(*streams, [&](const Stream& stream) { return !ours.contains(stream.frontend); });
  const NameList except = left_out(request);
  // An exempt request may be tracked, too.
  std::vector<Stream> listed_now = *streams;
  leave_out_backends(listed_now, except);
  forget_exempt(endpoint.drain, *streams, gated);
  leave_out_backends(*streams, except);
  leave_out_tracked(*streams, listed_now, tables);
  endpoint.drain.streams = *std::move(streams);
}

void read_endpoint(SuspendedEndpoint& endpoint, const SuspendRequest& request, Answer answer) {
  DrainState& drain = endpoint.drain;
  std::optional<Reply> listed;
  std::vector<Reply> tables;
  if (drain.listing && !answer.error) {
    const auto last = 1 + static_cast<std::ptrdiff_t>(table_commands(left_out(request)).size());
    const auto first = answer.replies.end() - last;
    listed = *first;
    tables.assign(first + 1, answer.replies.end());
    answer.replies.erase(first, answer.replies.end());
  }
  Seen now = read_survey(answer, endpoint.url, request.hold.frontends, lean_scope(endpoint.last));
  drain.error = now.error;
  if (now.error) {
    ++drain.failures;
    return;
  }
  drain.failures = 0;
  drain.error = ended(endpoint, now, request.hold.options.accept_unproven);
  endpoint.last = std::move(now);
  if (drain.error) {
    drain.failures = most_failures;
    return;
  }
  read_streams(endpoint, request, listed, tables);
  weigh(endpoint, left_out(request), listed && lists_nothing(drain));
}

/// Nothing where it is another frontend of that HAProxy that did not drain.
std::optional<Error> unfinished(const SuspendedEndpoint& endpoint, const std::string& frontend,
                                const NameList& except) {
  const auto error = [](std::string message) {
    return Error{Errc::drain_timeout, std::move(message)};
  };
  const auto& streams = endpoint.drain.streams;
  if (endpoint.last.in_flight(except) == 0 || lists_nothing(endpoint.drain)) {
    return error(
        "requests kept coming on open keep-alive or HTTP/2 connections, which a hold by maxconn "
        "does "
        "not hold");
  }
  if (!streams) {
    return error(fmt::format("{} requests were still in flight when the drain's time was over",
                             endpoint.last.in_flight(except)));
  }
  const auto running = count_of(*streams, frontend);
  if (running == 0) return std::nullopt;
  return error(fmt::format(
      "still in flight when the drain's time was over: {} request{} ({}); --drain-except names "
      "backends, or tables, of streams that never end",
      running, running == 1 ? "" : "s", name_streams(*streams, frontend)));
}

void tell_switch(Switch& report, const SuspendedEndpoint& endpoint, const NameList& except,
                 bool timed_out) {
  const DrainState& drain = endpoint.drain;
  if (drain.drained) {
    report.in_flight = 0;
    return;
  }
  if (drain.streams) report.in_flight = count_of(*drain.streams, report.frontend);
  if (drain.error) {
    report.error = drain.error;
  } else if (timed_out) {
    report.error = unfinished(endpoint, report.frontend, except);
  }
}

}  // namespace

void begin(SuspendRows& rows, const SuspendRequest& request) {
  for (SuspendedEndpoint& endpoint : rows) weigh(endpoint, left_out(request), false);
}

State state_of(const SuspendRows& rows) {
  const auto failed = [](const SuspendedEndpoint& endpoint) {
    return endpoint.drain.failures >= most_failures;
  };
  const auto drained = [](const SuspendedEndpoint& endpoint) { return endpoint.drain.drained; };
  if (std::any_of(rows.begin(), rows.end(), failed)) return State::failed;
  return std::all_of(rows.begin(), rows.end(), drained) ? State::drained : State::more;
}

Batch look(SuspendRows& rows, const SuspendRequest& request, milliseconds elapsed) {
  Batch batch;
  batch.phase = "draining";
  batch.haste = runtime_api::Haste::from_the_beginning;
  batch.in_flight = in_flight(rows, left_out(request));
  for (SuspendedEndpoint& endpoint : rows) {
    auto& work = batch.work.emplace_back();
    DrainState& drain = endpoint.drain;
    if (drain.drained) continue;
    work = survey_commands(request.hold.frontends, lean_scope(endpoint.last));
    drain.listing = !drain.listed_at || elapsed - *drain.listed_at >= stream_pause;
    if (!drain.listing) continue;
    drain.listed_at = elapsed;
    work.push_back(Command::show_streams());
    for (const Command& command : table_commands(left_out(request))) work.push_back(command);
  }
  return batch;
}

void read(SuspendRows& rows, const SuspendRequest& request, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].drain.drained) read_endpoint(rows[i], request, answers[i]);
  }
}

void doubt(SuspendedEndpoint& endpoint) {
  endpoint.drain.drained = false;
  endpoint.drain.quiet_begun.reset();
}

void tell(SuspendRows& rows, const SuspendRequest& request, bool timed_out) {
  for (SuspendedEndpoint& endpoint : rows) {
    for (SuspendedSwitch& row : endpoint.switches) {
      tell_switch(row.report, endpoint, left_out(request), timed_out);
    }
  }
}

}  // namespace stillgate::hold::drain
