// Messages and figures of events.
#include "events.hpp"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace stillgate::hold {
namespace {

using Switches = std::vector<const Switch*>;

template <class Test>
std::int64_t count(const Switches& switches, const Test& test) {
  return std::count_if(switches.begin(), switches.end(),
                       [&](const Switch* one) { return test(*one); });
}

Switches all_of(const Report& report) {
  Switches all;
  for (const Switch& one : report.switches) all.push_back(&one);
  return all;
}

/// In the report's order, which has those of one endpoint side by side.
std::vector<std::string> endpoints(const Report& report) {
  std::vector<std::string> urls;
  for (const Switch& one : report.switches) {
    if (urls.empty() || urls.back() != one.endpoint) urls.push_back(one.endpoint);
  }
  return urls;
}

Event::Figure sized(const char* name, std::size_t size) {
  return {name, static_cast<std::int64_t>(size)};
}

Event event(EventKind kind, const char* source, WallTime now) {
  Event made;
  made.kind = kind;
  made.at = now;
  made.source = source;
  return made;
}

double seconds(WallTime::duration time) { return std::chrono::duration<double>(time).count(); }

std::string words(const Error& error) {
  const std::string theirs = error.haproxy ? fmt::format(" (HAProxy: {})", *error.haproxy) : "";
  return fmt::format("{}: {}{}", name(error.code), error.message, theirs);
}

/// The call's own error, else that of a switch that did not only fail because of another one.
std::string cause(const Report& report) {
  if (report.ending == Ending::cancelled) return "stopped by the caller";
  if (report.error) return words(*report.error);
  const Error* found = nullptr;
  for (const Switch& one : report.switches) {
    if (!one.error) continue;
    if (one.error->code != Errc::rolled_back) return words(*one.error);
    found = &*one.error;
  }
  return found == nullptr ? "failed" : words(*found);
}

bool refused(const Switch& one) {
  return one.error || std::any_of(one.findings.begin(), one.findings.end(),
                                  [](const Finding& it) { return it.level == Level::refusal; });
}

bool warned(const Switch& one) {
  return std::any_of(one.findings.begin(), one.findings.end(),
                     [](const Finding& it) { return it.level == Level::warning; });
}

bool is_unknown(const Switch& one) { return one.verdict == Verdict::unknown; }

bool is_held(const Switch& one) { return one.verdict == Verdict::held; }

/// HAProxy itself ends it.
bool is_gated(const Switch& one) { return one.method == name(Method::gate); }

bool was_open(const Switch& one) {
  return one.verdict == Verdict::open ||
         std::any_of(one.findings.begin(), one.findings.end(),
                     [](const Finding& it) { return it.is(FindingCode::already_open); });
}

bool released(const Switch& one) { return one.verdict == Verdict::resumed && !was_open(one); }

/// One event per endpoint, with the first error there.
void add_lost(std::vector<Event>& events, const Switches& switches, const std::optional<Hold>& hold,
              const char* source, WallTime now) {
  std::set<std::string_view> told;
  for (const Switch* one : switches) {
    if (!is_unknown(*one) || !told.insert(one->endpoint).second) continue;
    Event lost = event(EventKind::endpoint_lost, source, now);
    lost.hold = hold;
    lost.endpoint = one->endpoint;
    lost.frontend = one->frontend;
    lost.message = fmt::format("the state of {} at {} is unknown: {}", one->frontend, one->endpoint,
                               one->error ? words(*one->error) : "no answer");
    events.push_back(std::move(lost));
  }
}

/// Leaks where all are known, and the most that waited where a gate counted.
void add_counts(Event& event, const Switches& switches) {
  std::int64_t leaks = 0;
  std::int64_t waited = 0;
  bool gated = false;
  for (const Switch* one : switches) {
    leaks += one->leaked.value_or(0);
    if (!one->gate) continue;
    gated = true;
    waited += one->gate->held;
  }
  if (count(switches, [](const Switch& one) { return one.leaked.has_value(); }) > 0) {
    event.figures.emplace_back("leaked", leaks);
  }
  if (gated) event.figures.emplace_back("waited", waited);
}

std::string how_it_ended(const Event& event, const Release& release, std::int64_t let_go) {
  const std::string who = fmt::format(
      "{}{}", release.who,
      event.hold && event.hold->owner != release.who ? ", held by " + event.hold->owner : "");
  if (let_go == 0) return fmt::format("already open when resumed by {}", who);
  if (event.kind == EventKind::expired) return "the deadline ended it";
  return fmt::format("resumed by {}", who);
}

/// The end of one hold, or of switches that no record knows.
void add_end(std::vector<Event>& events, const Switches& switches, const std::optional<Hold>& hold,
             const Release& release, WallTime now) {
  add_lost(events, switches, hold, "resume", now);
  const std::int64_t let_go = count(switches, released);
  const std::int64_t left =
      count(switches, [](const Switch& one) { return is_held(one) || is_unknown(one); });
  if (let_go == 0 && left > 0) return;
  const bool overdue = hold && hold->deadline && *hold->deadline <= now;
  const bool expired = release.at_deadline || (overdue && let_go == 0);
  Event end = event(expired ? EventKind::expired : EventKind::resumed, "resume", now);
  end.hold = hold;
  end.message = fmt::format("{}: {} of {} switches released now",
                            how_it_ended(end, release, let_go), let_go, switches.size());
  if (left > 0) end.message += fmt::format(", {} still held or unknown", left);
  end.figures = {sized("switches", switches.size()), {"released", let_go}, {"still_held", left}};
  if (hold) end.figures.emplace_back("held_s", seconds(now - hold->started_at));
  if (overdue) end.figures.emplace_back("late_s", seconds(now - *hold->deadline));
  add_counts(end, switches);
  events.push_back(std::move(end));
}

}  // namespace

Event checked_event(const Report& report, const std::vector<std::string>& frontends, WallTime now) {
  Event made = event(EventKind::checked, "check", now);
  const Switches all = all_of(report);
  const std::string verdict = report.ok() ? "ready to hold" : "refused: " + cause(report);
  made.message = fmt::format("{}: {}", fmt::join(frontends, ", "), verdict);
  made.figures = {sized("endpoints", endpoints(report).size()),
                  sized("switches", all.size()),
                  {"refused", count(all, refused)},
                  {"warnings", count(all, warned)}};
  return made;
}

Event held_event(const Record& record, const Report& report, WallTime now) {
  Event made = event(EventKind::held, "suspend", now);
  made.endpoints = endpoints(report);
  made.hold = record.summary();
  const std::string until = made.hold->max_hold_s
                                ? fmt::format("for at most {:g} s", *made.hold->max_hold_s)
                                : "until somebody resumes";
  made.message =
      fmt::format("{} held by {} at {} endpoint{} {}{}{}", fmt::join(made.hold->frontends, ", "),
                  record.owner, made.endpoints.size(), made.endpoints.size() == 1 ? "" : "s", until,
                  record.reason.empty() ? "" : ": ", record.reason);
  made.figures = {sized("endpoints", endpoints(report).size()),
                  sized("switches", report.switches.size()),
                  {"gate_switches", count(all_of(report), is_gated)}};
  if (report.commit_window_ms) {
    made.figures.emplace_back("commit_window_ms", *report.commit_window_ms);
  }
  if (report.skew_ms) made.figures.emplace_back("skew_ms", *report.skew_ms);
  // What comes meanwhile is told by nobody, where the kernel keeps it.
  std::int64_t rate = 0;
  for (const Switch& one : report.switches) rate += one.rate.value_or(0);
  made.figures.emplace_back("arrivals_per_s", rate);
  return made;
}

Event drained_event(const Record& record, const Report& report, WallTime now) {
  Event made = event(EventKind::drained, "suspend", now);
  made.hold = record.summary();
  made.message = fmt::format("{}: the requests already in flight have been served",
                             fmt::join(made.hold->frontends, ", "));
  if (report.drain_ms) made.figures.emplace_back("drain_ms", *report.drain_ms);
  return made;
}

std::vector<Event> extended_events(const Report& report, WallTime now) {
  std::vector<Event> events;
  for (const Hold& hold : report.holds) {
    const Switches its = [&] {
      Switches found;
      for (const Switch& one : report.switches) {
        if (one.hold_id == hold.id && !one.error) found.push_back(&one);
      }
      return found;
    }();
    if (its.empty()) continue;
    Event made = event(EventKind::extended, "extend", now);
    made.hold = hold;
    made.endpoints = endpoints(report);
    made.message = fmt::format("{}: the deadline was moved to {:.3g} s after the hold began",
                               fmt::join(hold.frontends, ", "), hold.max_hold_s.value_or(0));
    made.figures = {sized("switches", its.size())};
    events.push_back(std::move(made));
  }
  return events;
}

std::vector<Event> rolled_back_events(const Record& record, const Report& report, WallTime now) {
  std::vector<Event> events;
  const Switches all = all_of(report);
  add_lost(events, all, record.summary(), "suspend", now);
  Event made = event(EventKind::rolled_back, "suspend", now);
  made.endpoints = endpoints(report);
  made.hold = record.summary();
  const std::int64_t left =
      count(all, [](const Switch& one) { return is_held(one) || is_unknown(one); });
  made.message =
      fmt::format("{} not held: {}", fmt::join(made.hold->frontends, ", "), cause(report));
  if (left > 0) made.message += fmt::format("; {} switches may still be held", left);
  made.figures = {
      sized("endpoints", endpoints(report).size()),
      sized("switches", all.size()),
      {"reverted", count(all, [](const Switch& one) { return one.verdict == Verdict::reverted; })},
      {"still_held", left}};
  events.push_back(std::move(made));
  return events;
}

std::vector<Event> resumed_events(const Report& report, const Release& release, WallTime now) {
  std::vector<Event> events;
  for (const Hold& hold : report.holds) {
    Switches of_it;
    for (const Switch& one : report.switches) {
      if (one.hold_id == hold.id) of_it.push_back(&one);
    }
    if (!of_it.empty()) add_end(events, of_it, hold, release, now);
  }
  Switches unrecorded;
  for (const Switch& one : report.switches) {
    if (!one.hold_id && one.verdict == Verdict::resumed) unrecorded.push_back(&one);
  }
  if (!unrecorded.empty()) add_end(events, unrecorded, std::nullopt, release, now);
  return events;
}

}  // namespace stillgate::hold
