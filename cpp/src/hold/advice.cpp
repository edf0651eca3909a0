// The warnings of a check.
#include "advice.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "../runtime_api/numbers.hpp"

namespace stillgate::hold {
namespace {

using runtime_api::Stream;
using std::chrono::milliseconds;

/// HAProxy's default of `stats maxconn`, over all stats sockets of a process.
constexpr std::int64_t stats_maxconn = 10;
constexpr std::int64_t stats_in_reserve = 3;

void add(Switch& target, const char* code, Level level, std::string message) {
  target.findings.push_back({code, level, std::move(message)});
}

double seconds(milliseconds time) { return std::chrono::duration<double>(time).count(); }

void advise_keep_alive(Switch& target, const FrontendSeen& frontend) {
  if (!frontend.http) return;
  const bool seen = frontend.connections > 0 && frontend.begun > frontend.connections;
  add(target, "keep_alive_passes", seen ? Level::warning : Level::info,
      fmt::format("clients with an open keep-alive or HTTP/2 connection pass a hold by maxconn{}",
                  seen ? fmt::format("; here {:.1f} requests came per connection so far",
                                     static_cast<double>(frontend.begun) /
                                         static_cast<double>(frontend.connections))
                       : ""));
}

/// The kernel's queue is min(backlog, or maxconn where it is not set; somaxconn) + 1 deep. The
/// runtime API does not tell the backlog.
void advise_queue(Switch& target, const Question& question, const FrontendSeen& frontend,
                  double arrivals) {
  std::int64_t depth = frontend.limit;
  const bool here = target.endpoint.starts_with("unix://");
  if (here && question.somaxconn) depth = std::min(depth, *question.somaxconn);
  if (frontend.limit == 0 || arrivals <= static_cast<double>(depth + 1)) return;
  const bool bounded = here && question.somaxconn && depth < frontend.limit;
  add(target, "queue_too_short", Level::warning,
      fmt::format(
          "at {} new connections per second about {:.0f} come in {:.3g} s, and {} can wait "
          "{}; the others have their SYN dropped and come back after 1, 3, 7 s",
          frontend.rate, arrivals, seconds(question.max_hold), depth + 1,
          bounded ? "at most (net.core.somaxconn)" : "unless the frontend's 'backlog' says more"));
}

void advise_herd(Switch& target, const Seen& seen, double arrivals) {
  for (const BackendSeen& backend : seen.backends) {
    if (!backend.slots || backend.reached == 0) continue;
    const auto slots = static_cast<double>(*backend.slots);
    if (arrivals <= slots) continue;
    const double answer_s = static_cast<double>(backend.answer_ms.value_or(0)) / 1000.0;
    const double wait_s = arrivals / slots * answer_s;
    add(target, "servers_queue", Level::warning,
        fmt::format("about {:.0f} requests are released at once, and the servers of backend '{}' "
                    "take {} at a time: the last waits {:.1f} s in its queue, and gets a 503 if "
                    "'timeout queue' (or 'timeout connect') is shorter; 'resume --ramp' spreads "
                    "them",
                    arrivals, backend.name, *backend.slots, wait_s));
  }
}

std::string where(const Stream& stream) {
  return fmt::format("{} to {}/{} for {} s", stream.source, stream.backend.value_or("-"),
                     stream.server.value_or("(queued)"), stream.age_s.value_or(0));
}

}  // namespace

void advise(Switch& target, const Question& question, const Seen& seen, std::size_t frontend) {
  const FrontendSeen& now = *seen.frontends[frontend];
  const double arrivals = static_cast<double>(now.rate) * seconds(question.max_hold);
  advise_keep_alive(target, now);
  advise_queue(target, question, now, arrivals);
  advise_herd(target, seen, arrivals);
  const bool remembers = frontend < seen.remembered.size() && seen.remembered[frontend].supported;
  if (!remembers) {
    add(target, "journal_only", Level::warning,
        "this HAProxy cannot remember the hold (2.4 and later can): resume it from this machine, "
        "as "
        "this user, or give the limit by --limit");
  } else if (const auto& error = seen.remembered[frontend].error) {
    add(target, "record_unreadable", Level::warning, error->message);
  }
  if (question.no_lease) {
    add(target, "no_lease", Level::warning,
        fmt::format("nothing ends this hold if you do not: 'stillgate resume {}' is yours to run",
                    target.frontend));
  }
  add(target, "reload_ends_hold", Level::info,
      "a reload of HAProxy ends a hold by maxconn at once; keep configuration management away");
  add(target, "clients_give_up", Level::info,
      fmt::format("clients that give up before {:.3g} s fail, and those who waited in the kernel's "
                  "queue still reach a server after the release; health checks that a balancer in "
                  "front sends through this frontend wait too",
                  seconds(question.max_hold)));
}

void advise(Switch& target, const std::vector<Stream>& streams, milliseconds drain_timeout) {
  const auto talking = std::count_if(streams.begin(), streams.end(),
                                     [](const Stream& one) { return one.frontend == "GLOBAL"; });
  if (talking > stats_maxconn - stats_in_reserve) {
    add(target, "stats_connections", Level::warning,
        fmt::format(
            "{} connections to its stats sockets are open, ours included; 'stats maxconn' is "
            "{} unless set, and one more than that hangs without a word",
            talking, stats_maxconn));
  }
  const Stream* oldest = nullptr;
  std::size_t slow = 0;
  for (const Stream& one : streams) {
    if (one.frontend != target.frontend || !one.backend) continue;
    if (milliseconds(1000 * one.age_s.value_or(0)) < drain_timeout) continue;
    ++slow;
    if (oldest == nullptr || one.age_s > oldest->age_s) oldest = &one;
  }
  if (oldest == nullptr) return;
  add(target, "drain_may_fail", Level::warning,
      fmt::format("{} request{} for longer than the drain would wait ({:.3g} s), the oldest from "
                  "{}; a WebSocket never ends",
                  slow, slow == 1 ? " runs" : "s run", seconds(drain_timeout), where(*oldest)));
}

std::int64_t connections_now(const Seen& seen) {
  const auto text = seen.info ? seen.info->find("CurrConns") : std::nullopt;
  return text ? runtime_api::parse_number<std::int64_t>(*text).value_or(0) : 0;
}

}  // namespace stillgate::hold
