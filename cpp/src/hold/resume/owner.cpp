// Whose holds a resume leaves alone, and how it tells the HAProxies that one has ended.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "resume_plan.hpp"

namespace stillgate::hold {

using runtime_api::Batch;

/// Something was released.
bool ResumePlan::begun() const {
  return step_ > 0 || std::any_of(courses_.begin(), courses_.end(),
                                  [](const Course& one) { return one.written; });
}

/// True where somebody else's hold ends the call, with nothing released anywhere. One that shows
/// itself only later, behind an endpoint that could not be reached before, is left alone.
bool ResumePlan::refuse_foreign(WallTime now) {
  const bool too_late = begun();
  Claim unforced = request_.claim;
  unforced.force = false;
  bool refused = false;
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    Course& course = courses_[i];
    Switch& one = report_.switches[i];
    if (!course.record || course.written || course.ramped) continue;
    auto error = not_the_holder(*course.record, unforced, request_.records, now);
    const bool in_effect = one.verdict == Verdict::held || course.unfinished;
    if (error && in_effect && request_.claim.force && !std::exchange(course.forced, true)) {
      one.findings.push_back(Finding::of(
          FindingCode::forced, fmt::format("{}; ended by {}: {}", whose(*course.record, now),
                                           request_.claim.owner, request_.claim.reason)));
    }
    course.foreign = error && !request_.claim.force;
    if (!course.foreign || !in_effect) continue;
    refused = true;
    course.settled = true;
    one.error = std::move(error);
    add_hold(report_, *course.record);
  }
  if (!refused || too_late) return false;
  report_.ending = Ending::held_by_other;
  return true;
}

/// The id of the hold whose end is to be marked there: the one that has the lock, if it is the
/// caller's to end. Where there is no lock it is the one on record.
std::optional<std::string> ResumePlan::ended_here(std::size_t index, WallTime now) const {
  const Course& course = courses_[index];
  if (!course.keeps_marks || course.foreign || !over(index)) return std::nullopt;
  const auto& last = course.lock.last;
  if (!last) return course.record ? std::optional(course.record->id) : std::nullopt;
  if (course.lock.ended && course.lock.ended->id == last->id) return std::nullopt;
  if (course.record && course.record->id == last->id) return last->id;
  // Left by one who died before he held anything, or whose record went with a reload.
  if (!course.lock.taken(now) || !last->record) return std::nullopt;
  if (not_the_holder(*last->record, request_.claim, request_.records, now)) return std::nullopt;
  return last->id;
}

/// A record that stays although its hold is over does no harm.
Step ResumePlan::disarm(WallTime now) {
  Batch batch;
  batch.phase = "resuming";
  batch.uninterruptible = true;
  batch.work.resize(endpoints_);
  bool any = false;
  for (std::size_t i = 0; i < courses_.size(); ++i) {
    const std::string& frontend = report_.switches[i].frontend;
    auto& work = batch.work[i / frontends_];
    if (courses_[i].remembered && !courses_[i].foreign && over(i)) {
      const auto commands = empty_variable(frontend);
      work.insert(work.end(), commands.begin(), commands.end());
    }
    if (const auto id = ended_here(i, now)) {
      const auto commands = mark_ended(frontend, *id, How::resumed, now);
      work.insert(work.end(), commands.begin(), commands.end());
    }
    any = any || !work.empty();
  }
  if (!any) return close_records();
  stage_ = Stage::disarming;
  return batch;
}

}  // namespace stillgate::hold
