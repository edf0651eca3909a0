// The way back of a suspend that failed: set the limits, read them back, again if it must be.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "hold/plan.hpp"
#include "hold/record/gate_token.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"
#include "lock.hpp"

namespace stillgate::hold {

class Rollback {
 public:
  static constexpr int attempts = 3;
  static constexpr std::chrono::milliseconds pause{200};

  /// Opens the switches whose verdict is held or unknown, and empties the records that HAProxies
  /// with `armed` may keep of switches that are not held. All must outlive it.
  /// `gates` says per switch whether the gate holds it, and by which words. What is not held any
  /// more is freed of the lock.
  Rollback(const HoldRequest& request, std::vector<Switch>& switches,
           const std::vector<bool>& armed, const std::vector<GateHandle>& gates, const Lock& lock);

  /// The first step, and after each the next; nothing once it is over.
  std::optional<Step> begin(WallTime now);
  std::optional<Step> next(const Observation& observation);

 private:
  enum class Stage { reverting, verifying, pausing, disarming };

  std::optional<Step> revert(WallTime now);
  Step verify();
  std::optional<Step> verified(const std::vector<runtime_api::Answer>& answers, WallTime now);
  std::optional<Step> disarm(WallTime now);
  void judge(std::size_t endpoint, const Seen& now);
  [[nodiscard]] bool any_gate(std::size_t endpoint) const;

  const HoldRequest& request_;
  std::vector<Switch>& switches_;
  const std::vector<bool>& armed_;
  const std::vector<GateHandle>& gates_;
  const Lock& lock_;
  Stage stage_{Stage::reverting};
  int attempt_{0};
  std::vector<std::optional<Error>> errors_before_;  ///< of the switches, where it began
};

/// The hold may still be in effect there.
[[nodiscard]] bool may_be_held(const Switch& one);

}  // namespace stillgate::hold
