// The plan of `suspend`: check, arm, commit, verify, drain, and back if it must.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arming.hpp"
#include "drain.hpp"
#include "hold/plan.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"
#include "lock.hpp"
#include "rollback.hpp"

namespace stillgate::hold {

/// All or nothing. `record` comes with everything but its switches and times.
class SuspendPlan final : public Plan {
 public:
  struct Request {
    HoldRequest hold;
    Record record;
    std::vector<Record> known;                   ///< holds that the journal knows
    std::chrono::milliseconds drain_timeout{0};  ///< 0: do not wait
  };

  explicit SuspendPlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage {
    start,
    surveying,
    looking,
    recording,
    starting_guard,
    locking,
    arming,
    committing,
    verifying,
    sealing,
    draining,
    waiting,
    recording_counters,
    handing_over,
    rolling_back,
    closing_record,
    dismissing,
  };

  Step surveyed(const Observation& observation);
  Step cancel();
  Step look_closer(const Observation& observation);
  Step looked(const std::vector<runtime_api::Answer>& answers, const Observation& observation);
  Step record(const Observation& observation);
  Step recorded(const Observation& observation);
  Step start_guard(const Observation& observation);
  Step guarded(const Observation& observation);
  Step hand_over();
  Step handed_over(const Observation& observation);
  Step dismiss_guard();
  Step take_lock(const Observation& observation);
  Step locked(const Observation& observation);
  Step arm();
  Step armed(const Observation& observation);
  Step committed(const Observation& observation);
  Step verified(const Observation& observation);
  Step seal();
  Step look(std::chrono::milliseconds elapsed);
  Step drain(Drain::State state, const Observation& observation);
  Step sealed(const Observation& observation);
  bool too_late(const Observation& observation);
  Step roll_back();
  Step close_record();
  Step done();

  runtime_api::Batch survey_all() const;
  runtime_api::Batch verify() const;
  Result<runtime_api::Batch> commit(const Observation& observation);
  [[nodiscard]] GateOrder order_for(std::size_t endpoint) const;
  void measure(const std::vector<runtime_api::Answer>& answers);
  void judge(std::size_t endpoint, const Seen& now);
  void judge_gate(Switch& one, std::size_t endpoint, std::size_t frontend, const Seen& now);
  Switch& at(std::size_t endpoint, std::size_t frontend);

  Request request_;
  std::size_t endpoints_;
  std::size_t frontends_;
  Stage stage_{Stage::start};
  WallTime now_;
  std::vector<Seen> before_;
  std::vector<Seen> held_;   ///< as read back right after the commit
  std::vector<bool> armed_;  ///< per endpoint: it may keep our record
  std::vector<bool> sent_;   ///< per endpoint: the commit may have reached it
  std::vector<bool> lost_;   ///< and its answer never came
  bool doubted_{false};      ///< the drain was asked again once
  bool guard_{false};        ///< one was started
  std::optional<std::chrono::milliseconds> deadline_;  ///< since the call began
  /// Per switch. `used`: it is to be held by the gate.
  std::vector<GateHandle> gates_;
  GateOrder order_;
  std::vector<std::vector<std::size_t>> committed_for_;  ///< per endpoint and command: a frontend
  Report report_;
  Lock lock_;
  Arming arming_;
  Drain drain_;
  Rollback rollback_;
};

}  // namespace stillgate::hold
