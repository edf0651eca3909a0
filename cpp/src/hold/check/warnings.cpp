// The warnings of a check.
#include "warnings.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "hold/survey/left_out.hpp"
#include "method.hpp"
#include "model/numbers.hpp"
#include "runtime_api/listeners.hpp"
#include "runtime_api/release.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {
namespace {

using runtime_api::Answer;
using runtime_api::Command;
using runtime_api::Listener;
using runtime_api::Stream;
using std::chrono::milliseconds;

/// HAProxy's default of `stats maxconn`, over all stats sockets of a process.
constexpr std::int64_t stats_maxconn = 10;
constexpr std::int64_t stats_in_reserve = 3;
/// What HAProxy calls them in its lists.
constexpr std::string_view stats_frontend = "GLOBAL";

void add(Switch& target, FindingCode code, std::string message, bool at_worst = false) {
  // A second check at the same endpoint finds the same again.
  const bool told = std::any_of(target.findings.begin(), target.findings.end(),
                                [&](const Finding& one) { return one.message == message; });
  if (!told) target.findings.push_back(Finding::of(code, std::move(message), at_worst));
}

double seconds(milliseconds time) { return std::chrono::duration<double>(time).count(); }

double arrivals_of(const HoldRequest& request, const FrontendSeen& frontend) {
  return static_cast<double>(frontend.rate) * seconds(request.options.max_hold);
}

void advise_keep_alive(Switch& target, const FrontendSeen& frontend) {
  if (!frontend.http) return;
  const bool seen = frontend.connections > 0 && frontend.begun > frontend.connections;
  add(target, FindingCode::keep_alive_passes,
      fmt::format("clients with an open keep-alive or HTTP/2 connection pass a hold by maxconn{}",
                  seen ? fmt::format("; so far this frontend served {:.1f} requests per connection",
                                     static_cast<double>(frontend.begun) /
                                         static_cast<double>(frontend.connections))
                       : ""),
      seen);
}

/// How many connections can wait; empty: unknown. Of several ports the smallest queue counts.
std::optional<std::int64_t> depth_of(const HoldRequest& request, const std::string& frontend,
                                     const std::vector<Listener>& listeners) {
  std::optional<std::int64_t> depth;
  for (const Listener& one : listeners) {
    const auto found = request.listen_depths.find(one.port);
    if (one.frontend != frontend || found == request.listen_depths.end()) continue;
    depth = std::min(depth.value_or(found->second), found->second);
  }
  return depth;
}

/// The kernel's queue is min(backlog, or maxconn where it is not set; somaxconn) + 1 deep
/// (docs/haproxy-facts.md, section 2). The runtime API does not report the backlog; the kernel of
/// the same machine does.
void advise_queue(Switch& target, const HoldRequest& request, const FrontendSeen& frontend,
                  const std::vector<Listener>& listeners) {
  const double arrivals = arrivals_of(request, frontend);
  const auto known = depth_of(request, target.frontend, listeners);
  const std::int64_t depth = known.value_or(frontend.limit + 1);
  if (frontend.limit == 0 || arrivals <= static_cast<double>(depth)) return;
  add(target, FindingCode::queue_too_short,
      fmt::format(
          "at {} new connections per second about {:.0f} come in {:.3g} s, and the kernel's queue "
          "takes {}{}; a client that finds it full retries after 1, 3, 7 s",
          frontend.rate, arrivals, seconds(request.options.max_hold), depth,
          known ? " (the smaller of 'backlog', or 'maxconn' without one, and net.core.somaxconn)"
                : " (from 'maxconn': the frontend's 'backlog' is unknown)"));
}

void advise_herd(Switch& target, const Seen& seen, double arrivals) {
  for (const BackendSeen& backend : seen.backends) {
    if (!backend.slots || backend.reached == 0) continue;
    const auto slots = static_cast<double>(*backend.slots);
    if (arrivals <= slots) continue;
    const double answer_s = static_cast<double>(backend.answer_ms.value_or(0)) / 1000.0;
    const double wait_s = arrivals / slots * answer_s;
    add(target, FindingCode::servers_queue,
        fmt::format(
            "about {:.0f} requests would be released at once, and the servers of backend '{}' take "
            "{} at a time: the last one waits {:.1f} s in its queue, and gets a 503 if 'timeout "
            "queue' (or 'timeout connect') is shorter; use 'resume --ramp' to spread them",
            arrivals, backend.name, *backend.slots, wait_s));
  }
}

std::string where(const Stream& stream) {
  return fmt::format("{} to {}/{} for {} s", stream.source, stream.backend.value_or("-"),
                     stream.server.value_or("(queued)"), stream.age_s.value_or(0));
}

void advise_connections(Switch& target, std::int64_t talking) {
  if (talking <= stats_maxconn - stats_in_reserve) return;
  add(target, FindingCode::stats_connections,
      fmt::format(
          "{} connections to its stats sockets are open, ours included; 'stats maxconn' is {} by "
          "default, and a connection above it hangs; the guard needs two, and the resume one",
          talking, stats_maxconn));
}

/// What a reload made of requests that waited. An older look at the same endpoint is replaced.
void tell_old_workers(Switch& target) {
  std::erase_if(target.findings,
                [](const Finding& one) { return one.is(FindingCode::old_workers); });
  if (!target.old_workers) return;
  const OldWorkers& old = *target.old_workers;
  if (old.waiting > 0) {
    add(target, FindingCode::old_workers,
        fmt::format("{} requests wait in an old worker of a reload (process {}); when the hold "
                    "ends they go to the servers of its configuration; to end them unanswered "
                    "before that: 'kill -TERM {}'",
                    old.waiting, old.pids, old.pids),
        true);
  }
  if (old.released > 0) {
    add(target, FindingCode::old_workers,
        fmt::format("{} requests waited in an old worker of a reload, and went to the servers of "
                    "its configuration, not of the new one; --on-reload reject refuses them",
                    old.released),
        true);
  }
  if (old.silent > 0) {
    add(target, FindingCode::old_workers,
        fmt::format("{} requests waited in an old worker of a reload that says nothing any more: "
                    "it was ended, and they are lost, or it is frozen",
                    old.silent),
        true);
  }
  if (old.rejected > 0) {
    add(target, FindingCode::old_workers,
        fmt::format("{} requests in an old worker of a reload were answered 503 with Retry-After",
                    old.rejected));
  }
}

void advise_streams(Switch& target, const std::vector<Stream>& streams,
                    milliseconds drain_timeout) {
  const Stream* oldest = nullptr;
  std::size_t slow = 0;
  for (const Stream& one : streams) {
    if (one.frontend != target.frontend) continue;
    if (milliseconds(1000 * one.age_s.value_or(0)) < drain_timeout) continue;
    ++slow;
    if (oldest == nullptr || one.age_s > oldest->age_s) oldest = &one;
  }
  if (oldest == nullptr) return;
  add(target, FindingCode::drain_may_fail,
      fmt::format("{} request{} longer than the drain would wait ({:.3g} s), the oldest from {}; "
                  "use a longer --drain-timeout, and for WebSockets, which never end, "
                  "--drain-except with their backend or table",
                  slow, slow == 1 ? " runs" : "s run", seconds(drain_timeout), where(*oldest)));
}

/// How many connections this HAProxy has; 0 if it does not report that.
std::int64_t connections_now(const Seen& seen) {
  const auto text = seen.info ? seen.info->find("CurrConns") : std::nullopt;
  return text ? runtime_api::parse_number<std::int64_t>(*text).value_or(0) : 0;
}

/// True if its listen queues are those of this machine, and known.
bool is_here(const HoldRequest& request, std::size_t endpoint) {
  return request.local_endpoints.contains(request.endpoints[endpoint]) &&
         !request.listen_depths.empty();
}

/// What ends the hold, and what could keep it from that (docs/guard.md).
void advise_lease(Switch& target, const HoldRequest& request, const Seen& seen) {
  if (request.options.no_lease) {
    add(target, FindingCode::no_lease,
        fmt::format("nothing ends this hold by itself; run 'stillgate resume {}' to end it",
                    target.frontend));
    return;
  }
  const auto release = runtime_api::Release::parse(seen.info->version);
  const bool waits = release && *release >= runtime_api::Release{3, 0, 0};
  add(target, FindingCode::guard_alone,
      waits ? "a guard on this machine ends the hold, or HAProxy's own 'wait' if this machine "
              "freezes or fails; nothing ends it if the guard, its standby and the holder are all "
              "killed at once"
            : "a guard on this machine ends the hold, but nothing does if this machine freezes or "
              "fails; HAProxy 3.0 and later, or the gate on any release, ends it by itself",
      !waits);
}

void advise_maxconn(Switch& target, const HoldRequest& request, const Seen& seen,
                    std::size_t frontend) {
  advise_keep_alive(target, *seen.frontends[frontend]);
  const bool remembers = frontend < seen.remembered.size() && seen.remembered[frontend].supported;
  if (!remembers) {
    add(target, FindingCode::journal_only,
        "this HAProxy cannot store the hold (2.4 and later can); resume from this machine as this "
        "user, or with --limit N");
  } else if (const auto& error = seen.remembered[frontend].error) {
    add(target, FindingCode::record_unreadable, error->message);
  }
  advise_lease(target, request, seen);
  add(target, FindingCode::reload_ends_hold,
      "a reload of HAProxy releases the clients that wait in a hold by maxconn, until the guard "
      "has applied it again; keep configuration management away");
  add(target, FindingCode::clients_give_up,
      fmt::format("clients that give up within {:.3g} s fail, and those in the kernel's queue "
                  "still reach a server after the release; health checks of a balancer in front of "
                  "this frontend wait too",
                  seconds(request.options.max_hold)));
}

/// Held connections stay open, and so use up the frontend's limit. Later clients wait in the
/// kernel's queue, where HAProxy does not notice that a client gives up.
void advise_slots(Switch& target, const HoldRequest& request, const FrontendSeen& frontend) {
  const double wanted = arrivals_of(request, frontend) + static_cast<double>(frontend.sessions);
  if (wanted <= static_cast<double>(frontend.limit)) return;
  add(target, FindingCode::slots_run_out,
      fmt::format(
          "{} connections are open and about {:.0f} come in {:.3g} s, but the frontend's limit is "
          "{}; the others wait in the kernel's queue, and are served even if the client gave up",
          frontend.sessions, arrivals_of(request, frontend), seconds(request.options.max_hold),
          frontend.limit));
}

std::string bound_words(std::int64_t most, std::string_view by) {
  return fmt::format(
      "at most {} requests wait here at once, by {}; further ones get 503 with Retry-After", most,
      by);
}

/// More could take all that HAProxy has: its memory for Lua, or its connections, which other
/// frontends need, too.
void advise_bound(Switch& target, const HoldRequest& request, const FrontendSeen& frontend,
                  const runtime_api::GateProof& proof) {
  if (!proof.most) return;
  const std::int64_t asked = request.options.max_waiting;
  if (asked > 0 && (proof.most_by == "maxconn" || asked <= *proof.most)) return;
  const double wanted = static_cast<double>(std::max(frontend.busy, frontend.rate)) *
                        seconds(request.options.max_hold);
  add(target, FindingCode::gate_bound,
      fmt::format("{}; {}", bound_words(*proof.most, proof.most_by),
                  proof.most_by == "maxconn" ? "--max-waiting sets another number"
                                             : "no --max-waiting lets more wait"),
      wanted > static_cast<double>(*proof.most));
}

/// By `option abortonclose`, as seen: docs/haproxy-versions.md. A release that nobody looked at is
/// taken for one that does not.
bool notices_who_left(const runtime_api::Release& release) {
  using runtime_api::Release;
  const bool is_2_4 = release >= Release{2, 4, 0} && release < Release{2, 5, 0};
  const bool is_early_2_6 = release >= Release{2, 6, 0} && release < Release{2, 6, 13};
  return is_2_4 || is_early_2_6 || release >= Release{3, 2, 0};
}

void advise_gate(Switch& target, const HoldRequest& request, const Seen& seen,
                 std::size_t frontend) {
  const FrontendSeen& now = *seen.frontends[frontend];
  advise_slots(target, request, now);
  tell_gate(target, seen, frontend);
  const runtime_api::GateProof& proof = seen.gate->proofs[frontend];
  for (const auto& doubt :
       {proof.doubt, uncounted(seen, frontend), too_long(request, seen, frontend)}) {
    if (!doubt) continue;
    add(target, FindingCode::gate_unproven,
        fmt::format("not proven, and accepted by --accept-unproven: {}", *doubt));
  }
  if (proof.notes) add(target, FindingCode::gate_beside, *proof.notes);
  advise_bound(target, request, now, proof);
  if (!now.http) {
    add(target, FindingCode::tcp_gate,
        "in tcp mode the gate holds new connections only, and no longer than 'tcp-request "
        "inspect-delay'");
    return;
  }
  const auto release = runtime_api::Release::parse(seen.info->version);
  if (!release || notices_who_left(*release)) return;
  add(target, FindingCode::given_up_unnoticed,
      fmt::format(
          "HAProxy {}.{}.{} does not notice an HTTP/1 client that gives up while its request "
          "is held. The gate finds at the release who has closed, but not by a reset, over "
          "IPv6 or through the PROXY protocol: such a request still reaches a server",
          release->major, release->minor, release->patch));
}

}  // namespace

void tell_reload(Switch& target, const Seen& seen, const std::optional<Counters>& before,
                 bool by_gate) {
  if (!before || before->pid == seen.info->pid) return;
  const std::string change = fmt::format(
      "HAProxy was reloaded or restarted since the hold began (process {} then, {} now)",
      before->pid, seen.info->pid);
  if (by_gate) {
    add(target, FindingCode::reloaded,
        change +
            ": the new process holds, too; who waits in an old one gets the servers of its "
            "configuration, or with --on-reload reject 503");
    return;
  }
  add(target, FindingCode::reloaded,
      change +
          ": who waited in the kernel went to the new process and its servers at once, until "
          "the guard held again; some are reset where it took over without the listeners of "
          "the old one",
      true);
}

void tell_gate(Switch& target, const Seen& seen, std::size_t frontend) {
  const auto* now = seen.gate_switch(frontend);
  if (now == nullptr) return;
  target.waiting = now->waiting;
  target.gate = now->counters;
  target.old_workers = now->old;
  tell_old_workers(target);
  if (const auto& why = seen.gate->state_error) {
    add(target, FindingCode::gate_state_unsaved,
        fmt::format("the gate cannot write its state file, so a reload would end the hold: {}",
                    *why));
  }
  if (now->unseen.value_or(0) > 0) {
    add(target, FindingCode::gate_bypassed,
        fmt::format("{} requests passed beside the gate while it held: a rule with a condition "
                    "comes before its lines",
                    *now->unseen));
  }
  if (const auto& why = seen.gate->error) {
    add(target, FindingCode::gate_error,
        fmt::format("the gate had an error, and refused the request that met it: {}", *why));
  }
  if (now->malformed) {
    add(target, FindingCode::gate_malformed,
        "the gate cannot read a switch or a state file, and ignores it; was it written by another "
        "release of Stillgate?");
  }
}

void advise(Switch& target, const HoldRequest& request, const Seen& seen, std::size_t frontend) {
  advise_herd(target, seen, arrivals_of(request, *seen.frontends[frontend]));
  if (!seen.can_lock() && target.method == by_gate && !seen.can_lock_by_gate()) {
    add(target, FindingCode::lock_weak,
        "the gate is the Lua file of an older release, which has no lock, and HAProxy below 2.6 "
        "has "
        "no compare and set: of two suspends at the same moment both may be refused, or both may "
        "hold; install the Lua file that 'stillgate gate' prints");
  } else if (!seen.can_lock() && target.method != by_gate) {
    add(target, FindingCode::lock_weak,
        "HAProxy below 2.6 has no compare and set: of two suspends by maxconn at the same moment "
        "both may be refused, or both may hold; the gate has a lock of its own");
  }
  if (target.method == by_gate) {
    advise_gate(target, request, seen, frontend);
  } else {
    advise_maxconn(target, request, seen, frontend);
  }
}

std::vector<Command> closer_look(const HoldRequest& request, std::size_t endpoint, const Seen& seen,
                                 bool streams) {
  if (seen.error || connections_now(seen) > most_listed) return {};
  std::vector<Command> commands;
  if (is_here(request, endpoint)) commands.push_back(Command::show_descriptors());
  if (!streams) return commands;
  commands.push_back(Command::show_streams());
  for (Command& one : table_commands(NameList(request.options.drain_except))) {
    commands.push_back(std::move(one));
  }
  return commands;
}

void advise_closer(std::vector<Switch>& switches, const HoldRequest& request, std::size_t endpoint,
                   const Seen& seen, const Answer& answer,
                   std::optional<milliseconds> drain_timeout) {
  if (seen.error) return;
  std::vector<Listener> listeners;
  std::optional<std::int64_t> talking;
  std::size_t next = 0;
  const bool answered = !answer.error && !answer.replies.empty();
  if (answered && is_here(request, endpoint)) {
    const std::string& descriptors = answer.replies[next++].text;
    listeners = runtime_api::parse_listeners(descriptors);
    talking = runtime_api::count_clients(descriptors, stats_frontend);
  }
  std::optional<std::vector<Stream>> streams;
  if (answered && drain_timeout && next < answer.replies.size()) {
    if (auto parsed = runtime_api::parse_streams(answer.replies[next].text)) {
      streams = *std::move(parsed);
      talking = std::count_if(streams->begin(), streams->end(),
                              [](const Stream& one) { return one.frontend == stats_frontend; });
      leave_out_backends(*streams, NameList(request.options.drain_except));
      leave_out_tracked(*streams, std::vector(*streams),
                        std::span(answer.replies).subspan(next + 1));
    }
  }
  for (std::size_t j = 0; j < request.frontends.size(); ++j) {
    Switch& target = switches[endpoint * request.frontends.size() + j];
    if (!target.limit_now) continue;
    if (target.method != by_gate) {
      advise_queue(target, request, *seen.frontends[j], listeners);
    }
    if (talking) advise_connections(target, *talking);
    if (streams) advise_streams(target, *streams, *drain_timeout);
  }
}

}  // namespace stillgate::hold
