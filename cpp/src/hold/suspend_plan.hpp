// The plan of `suspend` and `check`: survey, record, commit, verify, and back again if it must.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "findings.hpp"
#include "plan.hpp"

namespace stillgate::hold {

/// All or nothing. `record` comes with everything but its switches.
class SuspendPlan final : public Plan {
 public:
  struct Request {
    Question question;
    Record record;
    std::vector<Record> known;  ///< holds already recorded
    bool check_only{false};
  };

  static constexpr int rollback_attempts = 3;
  static constexpr std::chrono::milliseconds rollback_pause{200};

  explicit SuspendPlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage {
    start,
    surveying,
    recording,
    committing,
    verifying,
    reverting,
    verifying_revert,
    pausing,
    closing_record,
  };

  Step surveyed(const std::vector<runtime_api::Answer>& answers, bool cancelled);
  Step recorded(const std::optional<Error>& error, bool cancelled);
  Step committed(const std::vector<runtime_api::Answer>& answers, bool cancelled);
  Step verified(const std::vector<runtime_api::Answer>& answers, bool cancelled);
  Step revert();
  Step reverted(const std::vector<runtime_api::Answer>& answers);
  Step revert_verified(const std::vector<runtime_api::Answer>& answers);
  Step close_record();
  Step done();

  runtime_api::Batch survey(const char* phase, bool uninterruptible) const;
  runtime_api::Batch commit() const;
  void measure(const std::vector<runtime_api::Answer>& answers);
  Switch& at(std::size_t endpoint, std::size_t frontend);
  void judge_held(std::size_t endpoint, const Seen& now);
  void judge_reverted(std::size_t endpoint, const Seen& now);

  Request request_;
  std::size_t endpoints_;
  std::size_t frontends_;
  Stage stage_{Stage::start};
  std::vector<Seen> before_;
  std::vector<bool> sent_;  ///< per endpoint: the commit may have reached it
  std::vector<bool> lost_;  ///< and its answer never came
  int attempts_{0};
  Report report_;
};

}  // namespace stillgate::hold
