// The rules by which a hold is refused or warned of.
#include "refusals.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "already_held.hpp"
#include "hold/survey/held_probe.hpp"
#include "hold/survey/unknown_frontend.hpp"
#include "method.hpp"
#include "model/numbers.hpp"
#include "runtime_api/hazards.hpp"
#include "warnings.hpp"

namespace stillgate::hold {
namespace {

void refuse(Switch& target, Error error) {
  target.findings.push_back({std::string(name(error.code)), Level::refusal, error.message});
  if (!target.error) target.error = std::move(error);
}

void refuse(Switch& target, Errc code, std::string message) {
  refuse(target, Error{code, std::move(message)});
}

void weigh_release(Switch& target, const HoldRequest& request, const Seen& seen,
                   std::size_t frontend) {
  const auto crash = runtime_api::resume_crash(seen.info->version);
  if (!crash) return;
  const bool would_help =
      request.options.method == Method::automatic && gate_obstacle(request, seen, frontend);
  const std::string gate = would_help ? fmt::format(
                                            "; or hold by the gate, which crashes no release: "
                                            "'stillgate gate --config {}' prints the lines to add",
                                            target.frontend)
                                      : "";
  const std::string remedy =
      crash->fixed_in.empty()
          ? std::string("this branch has no known fixed release: update to another branch")
          : fmt::format("fixed in {}: update to it", crash->fixed_in);
  std::string message =
      fmt::format("{}; {}, or use --accept-hazard if this build has the fix backported{}",
                  crash->why, remedy, gate);
  if (request.options.accept_hazard) {
    target.findings.push_back(
        Finding::of(FindingCode::crash_hazard, "overruled by --accept-hazard: " + message));
  } else {
    refuse(target, Errc::crash_hazard, std::move(message));
  }
}

void weigh_guard(Switch& target, const HoldRequest& request) {
  const auto& fate = request.shared_fate;
  if (!fate || request.options.no_lease) return;
  if (fate->refuses) {
    refuse(target, Errc::guard_shares_fate, fate->message);
  } else {
    target.findings.push_back(Finding::of(FindingCode::guard_shares_fate, fate->message));
  }
}

/// A command reaches one process, and the others go on.
void weigh_processes(Switch& target, const Info& info) {
  const auto text = info.find("Nbproc");
  const auto count = text ? runtime_api::parse_number<std::int64_t>(*text) : std::nullopt;
  if (count.value_or(1) <= 1) return;
  refuse(target, Errc::several_processes,
         fmt::format("this HAProxy runs {} processes ('nbproc'), of which this socket reaches one; "
                     "use 'nbthread' instead of 'nbproc'",
                     *count));
}

/// A name with a slip of the pen would leave nothing out of the drain, and at the end of the hold
/// it is too late to say so.
void weigh_backends(Switch& target, const HoldRequest& request, const Seen& seen) {
  const std::pair<std::string_view, const std::string&> lists[] = {
      {"drain_except", request.options.drain_except}, {"wait_up_for", request.options.wait_up_for}};
  for (const auto& [option, names] : lists) {
    if (auto error = no_such_backend(option, NameList(names), seen)) {
      refuse(target, *std::move(error));
    }
  }
}

void weigh_switch(Switch& target, const HoldRequest& request, const Seen& seen,
                  std::size_t frontend, const std::vector<Record>& records, WallTime now) {
  const Record* record = record_of(seen, frontend, target.endpoint, target.frontend, records);
  target.version = seen.info->version;
  target.rtt_ms = seen.rtt_ms;
  target.limit_now = seen.limit(frontend);
  if (target.limit_now) target.rate = seen.frontends[frontend]->busy;
  weigh_processes(target, *seen.info);
  if (seen.gate && !seen.gate->room && seen.has_variables()) {
    refuse(
        target, Errc::variables_full,
        "HAProxy has no room left for the process variables that a hold needs, and some releases "
        "crash when one is set then; raise 'tune.vars.proc-max-size' and "
        "'tune.vars.global-max-size', or remove them");
  }
  if (seen.info->stopping) {
    refuse(target, Errc::haproxy_stopping,
           "this process is stopping (a reload or a stop is under way); wait until that is done");
  }
  if (seen.level && *seen.level != "admin") {
    refuse(target, {Errc::permission_denied,
                    fmt::format("the socket's level is '{}', and a hold needs admin; set 'level "
                                "admin' on its 'stats socket' line",
                                *seen.level),
                    seen.level});
  }
  if (!target.limit_now) {
    refuse(target, unknown_frontend(seen, target.frontend));
    return;
  }
  weigh_backends(target, request, seen);
  if (seen.frontends[frontend]->stopped) refuse(target, stopped(target.frontend));
  if (auto obstacle = choose_method(target, request, seen, frontend)) {
    refuse(target, *std::move(obstacle));
  } else if (target.method == by_maxconn) {
    weigh_release(target, request, seen, frontend);
    weigh_guard(target, request);
  } else if (auto error = cut_too_soon(seen, frontend, request.options.max_hold)) {
    refuse(target, *std::move(error));
  }
  const Asking asking{request.options.owner, records, now};
  if (auto error = held_already(target, seen, frontend, record, asking))
    refuse(target, *std::move(error));
}

/// Names of hosts and their processes repeat across containers; all three together do not.
bool one_haproxy(const Seen& a, const Seen& b) {
  if (!a.info || !b.info) return false;
  return a.info->pid == b.info->pid && a.info->node == b.info->node &&
         a.info->version == b.info->version && std::abs(a.info->uptime_s - b.info->uptime_s) <= 1;
}

std::optional<std::size_t> earlier_endpoint(const std::vector<Seen>& seen, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    if (one_haproxy(seen[i], seen[index])) return i;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Switch> weigh(const HoldRequest& request, const std::vector<Seen>& seen,
                          const std::vector<Record>& records, WallTime now) {
  std::vector<Switch> switches;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto earlier = earlier_endpoint(seen, i);
    for (std::size_t j = 0; j < request.frontends.size(); ++j) {
      Switch target;
      target.endpoint = request.endpoints[i];
      target.frontend = request.frontends[j];
      if (seen[i].error) {
        refuse(target, *seen[i].error);
      } else {
        weigh_switch(target, request, seen[i], j, records, now);
      }
      if (earlier) {
        refuse(target, Errc::same_haproxy,
               fmt::format("this is the same HAProxy as {}; name each HAProxy once",
                           request.endpoints[*earlier]));
      }
      if (target.limit_now) advise(target, request, seen[i], j);
      switches.push_back(std::move(target));
    }
  }
  return switches;
}

void conclude(Report& report, const HoldRequest& request, const std::vector<Seen>& seen,
              const std::vector<Record>& records, WallTime now) {
  report.switches = weigh(request, seen, records, now);
  const std::size_t frontends = request.frontends.size();
  for (std::size_t i = 0; i < report.switches.size(); ++i) {
    const Switch& one = report.switches[i];
    if (one.error && report.ending == Ending::done) report.ending = Ending::refused;
    if (!one.hold_id) continue;
    report.ending = Ending::held_by_other;
    const Record* record =
        record_of(seen[i / frontends], i % frontends, one.endpoint, one.frontend, records);
    if (record != nullptr) add_hold(report, *record);
  }
}

}  // namespace stillgate::hold
