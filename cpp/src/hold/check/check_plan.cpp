// The steps of a check.
#include "check_plan.hpp"

#include <algorithm>
#include <utility>

#include "hold/survey/held_probe.hpp"
#include "refusals.hpp"
#include "warnings.hpp"

namespace stillgate::hold {

using runtime_api::Answer;
using runtime_api::Batch;

CheckPlan::CheckPlan(Request request) : request_(std::move(request)) { report_.action = "check"; }

Step CheckPlan::next(const Observation& observation) {
  switch (stage_) {
    case Stage::start: {
      stage_ = Stage::surveying;
      Batch batch;
      batch.phase = "checking";
      batch.work.assign(request_.hold.endpoints.size(),
                        survey_commands(request_.hold.frontends, Scope::servers));
      return batch;
    }
    case Stage::surveying:
      return surveyed(observation);
    case Stage::timing:
      timed(std::get<observed::Answers>(observation.what).answers);
      return go_on(observation);
    case Stage::waiting:
      if (observation.cancelled) return weigh_all(observation);
      return count();
    case Stage::counting:
      counted(std::get<observed::Answers>(observation.what).answers);
      return weigh_all(observation);
    case Stage::looking:
      looked(std::get<observed::Answers>(observation.what).answers);
      break;
  }
  return step::Done{std::move(report_)};
}

Step CheckPlan::surveyed(const Observation& observation) {
  const auto& answers = std::get<observed::Answers>(observation.what).answers;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    seen_.push_back(read_survey(answers[i], request_.hold.endpoints[i], request_.hold.frontends,
                                Scope::servers));
  }
  Batch batch = time();
  const bool asks = std::ranges::any_of(batch.work, [](const auto& one) { return !one.empty(); });
  if (observation.cancelled || !asks) return go_on(observation);
  stage_ = Stage::timing;
  return batch;
}

/// When HAProxy would end what waits.
Batch CheckPlan::time() const {
  Batch batch;
  batch.phase = "checking";
  for (const Seen& seen : seen_) {
    auto& work = batch.work.emplace_back();
    if (request_.hold.options.method != Method::maxconn) {
      work = held_probe_commands(request_.hold.frontends, seen);
    }
  }
  return batch;
}

void CheckPlan::timed(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    read_held_probe(seen_[i], answers[i], request_.hold.frontends);
  }
}

Step CheckPlan::go_on(const Observation& observation) {
  if (observation.cancelled || !must_count()) return weigh_all(observation);
  stage_ = Stage::waiting;
  return step::Wait{count_pause};
}

/// The proof has the gates count for a while. Where no request comes there is nothing to count.
bool CheckPlan::must_count() const {
  return std::any_of(seen_.begin(), seen_.end(), [](const Seen& seen) {
    return !seen.error && seen.gate &&
           std::any_of(seen.frontends.begin(), seen.frontends.end(),
                       [](const auto& one) { return one && one->busy > 0; });
  });
}

Step CheckPlan::count() {
  stage_ = Stage::counting;
  Batch batch;
  batch.phase = "counting";
  for (const Seen& seen : seen_) {
    auto& work = batch.work.emplace_back();
    if (!seen.error && seen.gate) work = survey_commands(request_.hold.frontends, Scope::gates);
  }
  return batch;
}

/// What cannot be counted any more stays as it was.
void CheckPlan::counted(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (seen_[i].error || !seen_[i].gate) continue;
    const Seen now =
        read_survey(answers[i], request_.hold.endpoints[i], request_.hold.frontends, Scope::gates);
    if (!now.error && now.gate) seen_[i].gate->switches = now.gate->switches;
  }
}

Step CheckPlan::weigh_all(const Observation& observation) {
  conclude(report_, request_.hold, seen_, request_.known, observation.now);
  if (!observation.cancelled) return look_closer();
  report_.ending = Ending::cancelled;
  return step::Done{std::move(report_)};
}

/// Which requests are slow, and who else uses the stats sockets. Only for a check, because these
/// commands cost HAProxy more than the others.
Step CheckPlan::look_closer() {
  stage_ = Stage::looking;
  Batch batch;
  batch.phase = "checking";
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    batch.work.push_back(closer_look(request_.hold, i, seen_[i], true));
  }
  return batch;
}

void CheckPlan::looked(const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    advise_closer(report_.switches, request_.hold, i, seen_[i], answers[i], request_.drain_timeout);
  }
}

}  // namespace stillgate::hold
