// Finding the hold that had ended, and the words for it.
#include "lateness.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "hold/record/lookup.hpp"

namespace stillgate::hold::lateness {
namespace {

/// A gate keeps the deadline by its own clock.
constexpr std::chrono::milliseconds clocks_differ{250};

/// The newest of these with that switch, and with that id if one is named.
const Record* newest(const std::vector<Record>& records, const ResumedSwitch& row,
                     const std::string& id) {
  const Record* found = nullptr;
  for (const Record& record : records) {
    if (record.find(row.report.endpoint, row.report.frontend) == nullptr) continue;
    if (!id.empty() && record.id != id) continue;
    if (found == nullptr || record.started_at > found->started_at) found = &record;
  }
  return found;
}

/// On record as if it were in effect, and the caller's.
const Record* find_live(const ResumedSwitch& row, const ResumeRequest& request) {
  const Claim& claim = request.claim;
  const Record* known = newest(request.records, row, claim.hold);
  if (known != nullptr || !row.record) return known;
  const bool named =
      claim.hold.empty() ? row.record->owner == claim.owner : row.record->id == claim.hold;
  return named ? &*row.record : nullptr;
}

/// Only the HAProxy knows it, by the mark on its lock: whoever names that id is concerned.
const Record* find_marked(const ResumedSwitch& row, const ResumeRequest& request) {
  const auto& [last, ended] = row.lock;
  if (request.claim.hold.empty() || !last || !last->record || !ended) return nullptr;
  const bool its = ended->id == request.claim.hold && last->id == request.claim.hold;
  return its ? &*last->record : nullptr;
}

/// That somebody, by his name alone or with why he overruled the holder.
bool is_by(const std::string& by, const std::string& somebody) {
  return by == somebody || by.starts_with(somebody + " by --force (");
}

RecordEnd guess(const Record& hold, const ResumedSwitch& row, WallTime now) {
  if (hold.end) return *hold.end;
  RecordEnd end{End::opened, {}, {}, false};
  if (!hold.deadline || now < *hold.deadline - clocks_differ) return end;
  end.how = End::expired;
  end.at = *hold.deadline;
  end.by = ender(*hold.find(row.report.endpoint, row.report.frontend));
  return end;
}

/// What the HAProxy knows of that end is nearer to it.
void read_mark(RecordEnd& end, const Ended& mark) {
  const bool known = end.at != WallTime();
  switch (mark.how) {
    case How::resumed:
      end = {End::resumed, mark.at, mark.by, false};
      break;
    case How::expired:
      if (!known) end = {End::expired, mark.at, "guard", false};
      break;
    case How::rolled_back:
      if (!known) end = {End::guard_ended, mark.at, "guard", false};
      break;
    case How::opened:
      if (!known) end.at = mark.at;
      break;
  }
}

std::string how_words(const HoldEnd& end, WallTime now) {
  std::string words = [&end] {
    const std::string by = end.by.value_or("");
    switch (end.how) {
      case End::expired:
        return fmt::format("its deadline came, and {} ended it",
                           by == "haproxy" ? "HAProxy itself" : "its guard");
      case End::resumed:
        return fmt::format("{} resumed it", by.empty() ? "somebody" : by);
      case End::guard_ended:
        return std::string("its guard got SIGTERM, and ended it");
      case End::opened:
        break;
    }
    return std::string("somebody opened the frontend by hand, or a reload did");
  }();
  if (!end.at) return words;
  const auto ago = std::chrono::duration<double>(now - *end.at).count();
  return words + fmt::format(" at {}, {:.1f} s ago", clock(*end.at), ago < 0 ? 0 : ago);
}

std::string words(const HoldEnd& end, const std::string& frontend, WallTime now) {
  const std::string passed =
      end.requests_since ? fmt::format("; since it was drained at most {} requests have passed",
                                       *end.requests_since)
                         : std::string("; how many requests have passed since is unknown");
  return fmt::format(
      "the hold had ended before this resume: {}{}; check what the work inside it met, by "
      "'stillgate history {}'",
      how_words(end, now), passed, frontend);
}

void tell_switch(ResumedSwitch& row, const ResumedEndpoint& endpoint, const ResumeRequest& request,
                 Report& report, WallTime now) {
  const bool is_open =
      row.report.verdict == Verdict::open || row.report.verdict == Verdict::resumed;
  if (row.was_held || !is_open || row.foreign) return;
  const Record* live = find_live(row, request);
  const Record* over = newest(request.ended, row, request.claim.hold);
  const bool lives = live != nullptr && (over == nullptr || live->started_at >= over->started_at);
  const Record* hold = lives ? live : over;
  if (hold == nullptr) hold = find_marked(row, request);
  if (hold == nullptr || (hold->end && hold->end->told)) return;
  const bool told_apart = lives && over != nullptr && over->id == live->id && !over->end->told;
  RecordEnd found = guess(told_apart ? *over : *hold, row, now);
  if (const auto& mark = row.lock.ended; mark && mark->id == hold->id) {
    // The holder, from another machine; or here, by a call that was killed before its end.
    const bool holder =
        !mark->by.empty() && (mark->by == hold->owner || is_by(mark->by, request.claim.owner));
    if (mark->how == How::resumed && holder) return;
    read_mark(found, *mark);
  }
  HoldEnd end{found.how, {}, {}, {}};
  if (found.at != WallTime()) end.at = found.at;
  if (!found.by.empty()) end.by = std::move(found.by);
  if (endpoint.last && !endpoint.last->error) {
    end.requests_since =
        leaked(counters_before(*hold, row.report.endpoint, row.report.frontend, request.records),
               endpoint.last->counters(row.place));
  }
  row.report.hold_id = hold->id;
  if (!row.report.error) {
    row.report.error = Error{Errc::hold_ended, words(end, row.report.frontend, now)};
  }
  row.report.ended = std::move(end);
  add_hold(report, *hold);
}

}  // namespace

void tell(ResumeRows& rows, const ResumeRequest& request, Report& report, WallTime now) {
  for (ResumedEndpoint& endpoint : rows) {
    for (ResumedSwitch& row : endpoint.switches) tell_switch(row, endpoint, request, report, now);
  }
}

}  // namespace stillgate::hold::lateness
