// The steps of a check.
#include "check_plan.hpp"

#include <utility>

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
  conclude(report_, request_.hold, seen_, request_.known);
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
