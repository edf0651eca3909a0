// The plan of `check`: everything that would stop or endanger a hold. Changes nothing.
#pragma once

#include <chrono>
#include <vector>

#include "hold/plan.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"

namespace stillgate::hold {

class CheckPlan final : public Plan {
 public:
  struct Request {
    HoldRequest hold;
    std::vector<Record> known;  ///< holds that the journal knows
    std::chrono::milliseconds drain_timeout{0};
  };

  explicit CheckPlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage { start, surveying, timing, waiting, counting, looking };

  /// How long requests are counted: they get some time from HAProxy's counter to the gate.
  static constexpr std::chrono::milliseconds count_pause{450};

  Step surveyed(const Observation& observation);
  [[nodiscard]] runtime_api::Batch time() const;
  void timed(const std::vector<runtime_api::Answer>& answers);
  Step go_on(const Observation& observation);
  [[nodiscard]] bool must_count() const;
  Step count();
  void counted(const std::vector<runtime_api::Answer>& answers);
  Step weigh_all(const Observation& observation);
  Step look_closer();
  void looked(const std::vector<runtime_api::Answer>& answers);

  Request request_;
  Stage stage_{Stage::start};
  std::vector<Seen> seen_;
  Report report_;
};

}  // namespace stillgate::hold
