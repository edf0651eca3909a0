// A suspend and the guard of its switches by maxconn: started before anything is held, told of the
// hold at the end.
#include <algorithm>

#include "suspend_plan.hpp"

namespace stillgate::hold {

/// A gate needs none: HAProxy itself keeps its deadline.
Step SuspendPlan::start_guard(const Observation& observation) {
  Record guarded = request_.record;
  std::erase_if(guarded.switches, [](const HeldSwitch& one) { return one.lease == Lease::none; });
  if (guarded.switches.empty()) return take_lock(observation);
  stage_ = Stage::starting_guard;
  return step::StartGuard{std::move(guarded)};
}

Step SuspendPlan::guarded(const Observation& observation) {
  const auto& [error, backed] = std::get<observed::Guarded>(observation.what);
  guard_ = !error;
  for (HeldSwitch& one : request_.record.switches) {
    const bool waits = std::find(backed.begin(), backed.end(), one.endpoint) != backed.end();
    if (one.lease == Lease::guard && waits) one.lease = Lease::backed;
  }
  if (!error && !observation.cancelled) return take_lock(observation);
  report_.ending = observation.cancelled ? Ending::cancelled : Ending::refused;
  if (error && error->code != Errc::cancelled) {
    report_.error = error;
    for (Switch& one : report_.switches) {
      if (one.endpoint == error->field) one.error = error;
    }
    report_.error->field.clear();
  }
  return close_record();
}

/// A suspend that was frozen for so long must not hold any more: whoever keeps the lease has ended
/// it, or is about to.
bool SuspendPlan::too_late(const Observation& observation) {
  if (!deadline_ || observation.elapsed < *deadline_) return false;
  report_.ending = Ending::endpoint_failed;
  report_.error = Error{Errc::deadline_passed,
                        "the hold's deadline came before the suspend was done; give it a longer "
                        "--max-hold, or look what has kept this machine"};
  return true;
}

Step SuspendPlan::hand_over() {
  if (!guard_) return done();
  stage_ = Stage::handing_over;
  return step::TellGuard{step::TellGuard::Word::hold};
}

Step SuspendPlan::handed_over(const Observation& observation) {
  const auto& told = std::get<observed::Guarded>(observation.what);
  if (told.error || observation.cancelled) {
    report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
    if (!observation.cancelled) report_.error = told.error;
    report_.holds.clear();
    return roll_back();
  }
  return done();
}

/// What the rollback could not reach, the guard goes on trying. And a commit whose answer was lost
/// may still be on its way: it would hold what was read back as open, with nobody left to end that.
Step SuspendPlan::dismiss_guard() {
  if (!guard_) return done();
  stage_ = Stage::dismissing;
  using Word = step::TellGuard::Word;
  const bool open = std::none_of(report_.switches.begin(), report_.switches.end(), may_be_held);
  const bool on_its_way = std::find(lost_.begin(), lost_.end(), true) != lost_.end();
  return step::TellGuard{open && !on_its_way ? Word::leave : Word::end};
}

}  // namespace stillgate::hold
