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

}  // namespace

Drain::Drain(const Question& question) : question_(question), hosts_(question.endpoints.size()) {}

Drain::State Drain::begin(const std::vector<Seen>& held, const std::vector<Answer>& since,
                          milliseconds elapsed) {
  began_ = elapsed;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    hosts_[i].seen = held[i];
    hosts_[i].drained = held[i].in_flight() == 0 && !since[i].error;
  }
  return judge();
}

Batch Drain::look(milliseconds elapsed) {
  Batch batch;
  batch.phase = "draining";
  batch.in_flight = in_flight();
  batch.work.resize(hosts_.size());
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    HostState& host = hosts_[i];
    if (host.drained) continue;
    batch.work[i] = survey_commands(question_.frontends, Scope::proxies);
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
  Seen now = read_survey(answer, question_.endpoints[endpoint], question_.frontends);
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
  host.drained = host.seen.in_flight() == 0;
  if (!listed || listed->refusal) return;
  auto streams = runtime_api::parse_streams(listed->text);
  if (!streams) return;  // the counters alone decide then
  std::erase_if(*streams, [this](const Stream& one) {
    return !one.backend || std::find(question_.frontends.begin(), question_.frontends.end(),
                                     one.frontend) == question_.frontends.end();
  });
  host.streams = *std::move(streams);
  host.drained = host.drained || host.streams->empty();
}

/// The hold itself may be over: a reload, a restart, somebody's hand.
std::optional<Error> Drain::ended(const HostState& host, const Seen& now) const {
  if (now.info->stopping || !now.same_process(host.seen)) {
    return Error{Errc::haproxy_restarted,
                 "this HAProxy was reloaded or restarted while it drained, which ends its hold",
                 {},
                 {},
                 {}};
  }
  for (std::size_t j = 0; j < question_.frontends.size(); ++j) {
    if (now.limit(j) == 0) continue;
    return Error{
        Errc::limit_mismatch, "somebody else set the limit while this HAProxy drained", {}, {}, {}};
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

void Drain::tell(std::vector<Switch>& switches, bool timed_out) const {
  const std::size_t frontends = question_.frontends.size();
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const HostState& host = hosts_[i];
    for (std::size_t j = 0; j < frontends; ++j) {
      Switch& one = switches[i * frontends + j];
      if (host.drained) {
        one.in_flight = 0;
        continue;
      }
      std::int64_t running = 0;
      if (host.streams) {
        running = std::count_if(host.streams->begin(), host.streams->end(),
                                [&](const Stream& s) { return s.frontend == one.frontend; });
        one.in_flight = running;
      }
      if (host.error) {
        one.error = host.error;
      } else if (timed_out && (running > 0 || !host.streams)) {
        const std::string names = host.streams ? name_streams(*host.streams, one.frontend) : "";
        one.error = Error{
            Errc::drain_timeout,
            fmt::format("still being served when the drain's time was over: {}{}",
                        host.streams ? fmt::format("{} request{}", running, running == 1 ? "" : "s")
                                     : std::string("the backends' requests"),
                        names.empty() ? "" : " (" + names + ")"),
            {},
            {},
            {}};
      }
    }
  }
}

}  // namespace stillgate::hold
