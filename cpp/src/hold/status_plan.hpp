// The plan of `status`: what is held, by whom, and how many requests leaked. Changes nothing.
#pragma once

#include <string>
#include <vector>

#include "hold/survey/survey.hpp"
#include "plan.hpp"

namespace stillgate::hold {

class StatusPlan final : public Plan {
 public:
  struct Request {
    std::vector<std::string> endpoints;  ///< canonical URLs
    std::vector<std::string> frontends;  ///< none: all that each HAProxy has
    std::vector<Record> records;         ///< holds that the journal knows
    std::vector<Record> ended{};         ///< and those that are over
  };

  explicit StatusPlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage { start, listing, asking };

  Step ask();
  Step listed(const std::vector<runtime_api::Answer>& answers);
  Step asked(const Observation& observation);
  Switch judge(std::size_t endpoint, std::size_t frontend, const Seen& seen, WallTime now);

  static void judge_lock(Switch& one, const LockSeen& lock, WallTime now);
  void judge_untold(Switch& one) const;
  void judge_gate(Switch& one, const Seen& seen, std::size_t frontend, const Record* record);

  Request request_;
  Stage stage_{Stage::start};
  std::vector<std::vector<std::string>> names_;  ///< per endpoint: its frontends
  std::vector<std::optional<Error>> failed_;     ///< per endpoint: why they could not be listed
  Report report_;
};

}  // namespace stillgate::hold
