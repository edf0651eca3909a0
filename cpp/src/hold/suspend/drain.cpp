// The course of a drain.
#include "drain.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Command;
using runtime_api::Stream;
using std::chrono::milliseconds;

namespace {

constexpr int most_failures = 2;  // one lost look is no loss: the next is on a new connection
constexpr std::size_t most_named = 3;

std::string name_streams(const std::vector<Stream>& streams, const std::string& frontend) {
  std::string names;
  std::size_t count = 0;
  for (const Stream& one : streams) {
    if (one.frontend != frontend) continue;
    if (++count > most_named) continue;
    names += fmt::format("{}{} to {}/{} for {} s", count > 1 ? ", " : "", one.source,
                         one.backend.value_or("-"), one.server.value_or("(queued)"),
                         one.age_s.value_or(0));
  }
  if (count > most_named) names += fmt::format(" and {} more", count - most_named);
  return names;
}

std::int64_t count_of(const std::vector<Stream>& streams, const std::string& frontend) {
  return std::count_if(streams.begin(), streams.end(),
                       [&frontend](const Stream& one) { return one.frontend == frontend; });
}

}  // namespace

Drain::Drain(const HoldRequest& request, const std::vector<GateHandle>& gates)
    : request_(request), gates_(gates), hosts_(request.endpoints.size()) {}

const GateHandle& Drain::gate(const HostState& host, std::size_t frontend) const {
  const auto index = static_cast<std::size_t>(&host - hosts_.data());
  return gates_[index * request_.frontends.size() + frontend];
}

Drain::State Drain::begin(const std::vector<Seen>& held, milliseconds elapsed) {
  began_ = elapsed;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    hosts_[i].seen = held[i];
    weigh(hosts_[i], false);
  }
  return judge();
}

void Drain::doubt(std::size_t endpoint) {
  hosts_[endpoint].drained = false;
  hosts_[endpoint].quiet_begun.reset();
}

void Drain::weigh(HostState& host, bool listed_empty) const {
  std::int64_t begun = 0;
  std::int64_t sessions = 0;
  for (std::size_t j = 0; j < request_.frontends.size(); ++j) {
    const auto& frontend = host.seen.frontends[j];
    if (!frontend || gate(host, j).used) continue;
    begun += frontend->begun;
    sessions += frontend->sessions;
  }
  if (host.quiet_begun == begun) {
    host.drained = true;
    return;
  }
  host.quiet_begun.reset();
  if (host.seen.in_flight() > 0 && !listed_empty) return;
  host.drained = sessions == 0;
  host.quiet_begun = begun;
}

Batch Drain::look(milliseconds elapsed) {
  Batch batch;
  batch.phase = "draining";
  batch.haste = runtime_api::Haste::from_the_beginning;
  batch.in_flight = in_flight();
  batch.work.resize(hosts_.size());
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    HostState& host = hosts_[i];
    if (host.drained) continue;
    batch.work[i] = survey_commands(request_.frontends, lean_scope(host.seen));
    host.listing = !host.listed_at || elapsed - *host.listed_at >= stream_pause;
    if (!host.listing) continue;
    host.listed_at = elapsed;
    batch.work[i].push_back(Command::show_streams());
  }
  return batch;
}

Drain::State Drain::read(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i].drained) read_host(hosts_[i], i, answers[i]);
  }
  return judge();
}

void Drain::read_host(HostState& host, std::size_t endpoint, Answer answer) {
  std::optional<runtime_api::Reply> listed;
  if (host.listing && !answer.error) {
    listed = std::move(answer.replies.back());
    answer.replies.pop_back();
  }
  Seen now =
      read_survey(answer, request_.endpoints[endpoint], request_.frontends, lean_scope(host.seen));
  host.error = now.error;
  if (now.error) {
    ++host.failures;
    return;
  }
  host.failures = 0;
  host.error = ended(host, now);
  host.seen = std::move(now);
  if (host.error) {
    host.failures = most_failures;
    return;
  }
  read_streams(host, listed);
  weigh(host, listed && host.streams && host.streams->empty());
}

/// Where the list cannot be read, the counters alone decide.
void Drain::read_streams(HostState& host, const std::optional<runtime_api::Reply>& listed) const {
  if (!listed || listed->refusal) return;
  auto streams = runtime_api::parse_streams(listed->text);
  if (!streams) return;
  std::erase_if(*streams, [this](const Stream& one) {
    return !one.backend || std::find(request_.frontends.begin(), request_.frontends.end(),
                                     one.frontend) == request_.frontends.end();
  });
  host.streams = *std::move(streams);
}

/// The hold itself may be over: a reload, a restart, somebody's hand. A gate outlives a reload.
std::optional<Error> Drain::ended(const HostState& host, const Seen& now) const {
  for (std::size_t j = 0; j < request_.frontends.size(); ++j) {
    if (gate(host, j).used) {
      if (now.gate_holds(j)) continue;
      return Error{Errc::gate_failed,
                   "the gate is open: its deadline passed, or somebody else opened it, while this "
                   "HAProxy drained"};
    }
    if (now.info->stopping || !now.same_process(host.seen)) {
      return Error{Errc::haproxy_restarted,
                   "this HAProxy was reloaded or restarted while it drained, which ends its hold"};
    }
    if (now.limit(j) == 0) continue;
    return Error{Errc::limit_mismatch, "somebody else set the limit while this HAProxy drained"};
  }
  return std::nullopt;
}

Drain::State Drain::judge() {
  const auto failed = [](const HostState& host) { return host.failures >= most_failures; };
  if (std::any_of(hosts_.begin(), hosts_.end(), failed)) return State::failed;
  const bool all =
      std::all_of(hosts_.begin(), hosts_.end(), [](const HostState& host) { return host.drained; });
  return all ? State::drained : State::more;
}

std::int64_t Drain::in_flight() const {
  std::int64_t sum = 0;
  for (const HostState& host : hosts_) {
    if (host.drained) continue;
    sum += host.streams ? static_cast<std::int64_t>(host.streams->size()) : host.seen.in_flight();
  }
  return sum;
}

/// Nothing where it is another frontend of that HAProxy that did not drain.
std::optional<Error> Drain::unfinished(const HostState& host, const std::string& frontend) {
  const auto error = [](std::string message) {
    return Error{Errc::drain_timeout, std::move(message)};
  };
  if (host.seen.in_flight() == 0 || (host.streams && host.streams->empty())) {
    return error(
        "requests kept coming on connections that were open before (keep-alive or HTTP/2), which a "
        "hold by maxconn does not hold");
  }
  if (!host.streams) {
    return error(fmt::format("{} requests were still being served when the drain's time was over",
                             host.seen.in_flight()));
  }
  const auto running = count_of(*host.streams, frontend);
  if (running == 0) return std::nullopt;
  return error(fmt::format("still being served when the drain's time was over: {} request{} ({})",
                           running, running == 1 ? "" : "s",
                           name_streams(*host.streams, frontend)));
}

void Drain::tell(std::vector<Switch>& switches, bool timed_out) const {
  const std::size_t frontends = request_.frontends.size();
  for (std::size_t i = 0; i < switches.size(); ++i) {
    const HostState& host = hosts_[i / frontends];
    Switch& one = switches[i];
    if (host.drained) {
      one.in_flight = 0;
      continue;
    }
    if (host.streams) one.in_flight = count_of(*host.streams, one.frontend);
    if (host.error) {
      one.error = host.error;
    } else if (timed_out) {
      one.error = unfinished(host, one.frontend);
    }
  }
}

}  // namespace stillgate::hold
