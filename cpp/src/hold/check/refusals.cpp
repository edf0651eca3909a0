// The rules by which a hold is refused or warned of.
#include "refusals.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "method.hpp"
#include "runtime_api/hazards.hpp"
#include "warnings.hpp"

namespace stillgate::hold {
namespace {

void refuse(Switch& target, Error error) {
  target.findings.push_back({std::string(name(error.code)), Level::refusal, error.message});
  if (!target.error) target.error = std::move(error);
}

void refuse(Switch& target, Errc code, std::string message) {
  refuse(target, Error{code, std::move(message), {}, {}, {}});
}

void weigh_release(Switch& target, const Question& question, const Seen& seen,
                   std::size_t frontend) {
  const auto crash = runtime_api::resume_crash(seen.info->version);
  if (!crash) return;
  const bool would_help =
      question.method == Method::automatic && gate_obstacle(question, seen, frontend);
  const std::string gate =
      would_help ? fmt::format(
                       "; or hold by the gate, which crashes none: 'stillgate gate --config "
                       "{}' prints what it needs",
                       target.frontend)
                 : "";
  const std::string remedy =
      crash->fixed_in.empty()
          ? std::string("no fixed release of this branch is known: update to another branch")
          : fmt::format("fixed in {}: update to it", crash->fixed_in);
  std::string message =
      fmt::format("{}; {}, or say --accept-hazard if this build has the fix backported{}",
                  crash->why, remedy, gate);
  if (question.accept_hazard) {
    target.findings.push_back({std::string(name(Errc::crash_hazard)), Level::warning,
                               "overruled by --accept-hazard: " + message});
  } else {
    refuse(target, Errc::crash_hazard, std::move(message));
  }
}

void weigh_switch(Switch& target, const Question& question, const Seen& seen, std::size_t frontend,
                  const Record* record) {
  target.version = seen.info->version;
  target.rtt_ms = seen.rtt_ms;
  target.limit_now = seen.limit(frontend);
  if (seen.info->stopping) {
    refuse(target, Errc::haproxy_stopping,
           "this process is stopping (a reload or a stop is under way); wait until it is over");
  }
  if (seen.level && *seen.level != "admin") {
    refuse(target,
           {Errc::permission_denied,
            fmt::format("the socket's level is '{}', a hold needs 'level admin' on its stats "
                        "socket line",
                        *seen.level),
            seen.level,
            {},
            {}});
  }
  if (!target.limit_now) {
    refuse(target, Errc::no_such_frontend,
           fmt::format("this HAProxy has no frontend '{}'", target.frontend));
    return;
  }
  if (seen.frontends[frontend]->stopped) refuse(target, stopped(target.frontend));
  if (auto obstacle = choose_method(target, question, seen, frontend)) {
    refuse(target, *std::move(obstacle));
  } else if (target.method == by_maxconn) {
    weigh_release(target, question, seen, frontend);
  }
  if (auto error = held_already(target, seen, frontend, record)) refuse(target, *std::move(error));
}

/// Names of hosts and their processes repeat across containers; all three together do not.
bool one_haproxy(const Seen& a, const Seen& b) {
  if (!a.info || !b.info) return false;
  return a.info->pid == b.info->pid && a.info->node == b.info->node &&
         a.info->version == b.info->version && std::abs(a.info->uptime_s - b.info->uptime_s) <= 1;
}

std::optional<std::size_t> earlier_twin(const std::vector<Seen>& seen, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    if (one_haproxy(seen[i], seen[index])) return i;
  }
  return std::nullopt;
}

}  // namespace

std::string clock(WallTime time) {
  return fmt::format("{:%H:%M:%S} UTC", std::chrono::time_point_cast<std::chrono::seconds>(time));
}

std::optional<Error> held_already(Switch& target, const Seen& seen, std::size_t frontend,
                                  const Record* record) {
  const auto* gate = seen.gate_holds(frontend) ? seen.gate_switch(frontend) : nullptr;
  if (gate == nullptr && seen.limit(frontend) != 0) return std::nullopt;
  if (record != nullptr) {
    target.hold_id = record->id;
    const std::string until = record->deadline ? " until " + clock(*record->deadline)
                                               : std::string(", without a deadline");
    return Error{
        Errc::already_held,
        fmt::format("held already by {} since {}{}{}{}; 'stillgate resume {}' ends that hold",
                    record->owner, clock(record->started_at), until,
                    record->reason.empty() ? "" : ": ", record->reason, target.frontend),
        {},
        {},
        {}};
  }
  if (gate != nullptr) {
    target.hold_id = gate->id;
    return Error{Errc::already_held,
                 fmt::format("held already by the gate, and its switch does not say by whom; "
                             "'stillgate resume {}' ends that hold",
                             target.frontend),
                 {},
                 {},
                 {}};
  }
  return Error{Errc::limit_is_zero,
               fmt::format("the limit is 0 already, and no record says what it was before; "
                           "'stillgate resume {} --limit N' restores it to N",
                           target.frontend),
               {},
               {},
               {}};
}

Error stopped(std::string_view frontend) {
  return {Errc::frontend_stopped,
          fmt::format("frontend '{}' takes no connections: it was disabled or shut down, and its "
                      "clients are refused",
                      frontend),
          {},
          {},
          {}};
}

const Record* find_record(const std::vector<Record>& records, std::string_view endpoint,
                          std::string_view frontend) {
  const Record* newest = nullptr;
  for (const Record& record : records) {
    if (record.find(endpoint, frontend) == nullptr) continue;
    if (newest == nullptr || record.started_at > newest->started_at) newest = &record;
  }
  return newest;
}

std::optional<Counters> counters_before(const Record& record, std::string_view endpoint,
                                        std::string_view frontend,
                                        const std::vector<Record>& records) {
  const HeldSwitch* held = record.find(endpoint, frontend);
  if (held != nullptr && held->counters) return held->counters;
  const Record* journal = find_record(records, endpoint, frontend);
  if (journal == nullptr || journal->id != record.id) return std::nullopt;
  return journal->find(endpoint, frontend)->counters;
}

const Record* record_of(const Seen& seen, std::size_t frontend, std::string_view endpoint,
                        std::string_view name, const std::vector<Record>& records) {
  if (seen.gate_holds(frontend)) {
    const auto& record = seen.gate->records[frontend];
    return record ? &*record : nullptr;
  }
  if (frontend < seen.remembered.size() && seen.remembered[frontend].record) {
    return &*seen.remembered[frontend].record;
  }
  return find_record(records, endpoint, name);
}

std::vector<Switch> weigh(const Question& question, const std::vector<Seen>& seen,
                          const std::vector<Record>& records) {
  std::vector<Switch> switches;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto twin = earlier_twin(seen, i);
    for (std::size_t j = 0; j < question.frontends.size(); ++j) {
      Switch target;
      target.endpoint = question.endpoints[i];
      target.frontend = question.frontends[j];
      if (seen[i].error) {
        refuse(target, *seen[i].error);
      } else {
        weigh_switch(target, question, seen[i], j,
                     record_of(seen[i], j, target.endpoint, target.frontend, records));
      }
      if (twin) {
        refuse(target, Errc::same_haproxy,
               fmt::format("the same HAProxy as {}; name each HAProxy once",
                           question.endpoints[*twin]));
      }
      if (target.limit_now) advise(target, question, seen[i], j);
      switches.push_back(std::move(target));
    }
  }
  return switches;
}

void conclude(Report& report, const Question& question, const std::vector<Seen>& seen,
              const std::vector<Record>& records) {
  report.switches = weigh(question, seen, records);
  const std::size_t frontends = question.frontends.size();
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
