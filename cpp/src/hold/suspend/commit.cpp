// The writes of a suspend: the lock, the commit, its answers, and the counters added behind the
// drain.
#include <algorithm>

#include "hold/record/record_variable.hpp"
#include "hold/survey/timing.hpp"
#include "suspend_plan.hpp"

namespace stillgate::hold {

using runtime_api::Batch;
using runtime_api::Command;
using std::chrono::milliseconds;

Step SuspendPlan::take_lock(const Observation& observation) {
  if (const auto error = lock_.begin(observation.now)) {
    report_.ending = Ending::refused;
    report_.error = error;
    return close_record();
  }
  stage_ = Stage::locking;
  return *lock_.next();
}

Step SuspendPlan::locked(const Observation& observation) {
  lock_.read(std::get<observed::Answers>(observation.what).answers, observation.now);
  if (lock_.failed()) lock_.tell(report_);
  if (observation.cancelled) report_.ending = Ending::cancelled;
  if (lock_.failed() || observation.cancelled) return roll_back();
  auto batch = lock_.next();
  return batch ? Step(*std::move(batch)) : arm();
}

/// The deadline on the gate's own clock, as the survey read that: a commit that was long under way
/// must not hold any longer for it. What the reading was late makes the hold shorter, by less than
/// a round trip.
GateOrder SuspendPlan::order_for(std::size_t endpoint) const {
  GateOrder order = order_;
  const auto& gate = before_[endpoint].gate;
  if (deadline_ && gate && gate->now_ms) {
    const auto left = static_cast<double>(deadline_->count()) - gate->told_at_ms;
    order.until_ms = *gate->now_ms + static_cast<std::int64_t>(left);
  }
  return order;
}

Result<Batch> SuspendPlan::commit(const Observation& observation) {
  order_.on_expiry = request_.hold.options.on_expiry;
  order_.max_waiting = request_.hold.options.max_waiting;
  if (deadline_) {
    order_.lasts = std::clamp(*deadline_ - observation.elapsed, milliseconds(1),
                              request_.hold.options.max_hold);
  }
  Batch batch;
  batch.phase = "holding";
  batch.barrier = true;
  batch.work.resize(endpoints_);
  committed_for_.resize(endpoints_);
  for (std::size_t index = 0; index < gates_.size(); ++index) {
    const std::size_t i = index / frontends_;
    const HeldSwitch& one = request_.record.switches[index];
    Result<std::vector<Command>> commands{
        std::vector<Command>{*Command::set_maxconn(one.frontend, 0)}};
    if (gates_[index].used) {
      gates_[index].token =
          gate_token(request_.record.only(one.endpoint, one.frontend), order_for(i));
      commands = hold_gate(one.frontend, gates_[index]);
    }
    if (!commands) return commands.error();
    batch.work[i].insert(batch.work[i].end(), commands->begin(), commands->end());
    committed_for_[i].insert(committed_for_[i].end(), commands->size(), index % frontends_);
  }
  return batch;
}

Step SuspendPlan::committed(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  bool any_sent = false;
  for (std::size_t i = 0; i < endpoints_; ++i) {
    sent_[i] = answers[i].sent;
    lost_[i] = answers[i].sent && answers[i].error;
    any_sent = any_sent || answers[i].sent;
    for (std::size_t j = 0; j < frontends_; ++j) {
      at(i, j).error = answers[i].error;
    }
    for (std::size_t n = 0; n < answers[i].replies.size(); ++n) {
      auto& error = at(i, committed_for_[i].at(n)).error;
      if (!error) error = answers[i].replies[n].refusal;
    }
  }
  if (!any_sent) {
    report_.ending = observation.cancelled ? Ending::cancelled : Ending::endpoint_failed;
    return roll_back();
  }
  report_.commit_window_ms = commit_window_ms(answers);
  report_.skew_ms = skew_ms(answers);
  stage_ = Stage::verifying;
  return verify();
}

/// Adds to the records from where leaks are counted, so that whoever resumes can count them. A gate
/// that is switched by a table would have two entries then: there the journal alone knows.
Step SuspendPlan::seal() {
  Batch batch;
  batch.phase = "recording";
  batch.haste = runtime_api::Haste::from_the_beginning;
  batch.work.resize(endpoints_);
  for (std::size_t index = 0; index < request_.record.switches.size(); ++index) {
    HeldSwitch& one = request_.record.switches[index];
    const std::size_t i = index / frontends_;
    one.counters = drain_.seen(i).counters(index % frontends_);
    const Record alone = request_.record.only(one.endpoint, one.frontend);
    Result<std::vector<Command>> commands{std::vector<Command>()};
    if (gates_[index].used && !gates_[index].table) {
      gates_[index].token = gate_token(alone, order_for(i));
      commands = hold_gate(one.frontend, gates_[index]);
    } else if (!gates_[index].used && armed_[i]) {
      commands = write_variable(one.frontend, alone);
    }
    if (!commands) continue;
    batch.work[i].insert(batch.work[i].end(), commands->begin(), commands->end());
  }
  stage_ = Stage::sealing;
  return batch;
}

}  // namespace stillgate::hold
