// The plan of `resume`: release what can be reached, retry the rest, restore the limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "hold/plan.hpp"
#include "hold/waits/wait_sweep.hpp"
#include "resume_rows.hpp"

namespace stillgate::hold {

class ResumePlan final : public Plan {
 public:
  using Request = ResumeRequest;

  static constexpr std::chrono::milliseconds retry_pause{250};
  static constexpr std::chrono::milliseconds wait_up_pause{100};
  /// A gate that was opened is looked at so often, until nobody waits there any more: what it
  /// counted is then complete.
  static constexpr int most_last_looks = 25;
  static constexpr std::chrono::milliseconds last_look_pause{20};
  /// A HAProxy that is reloaded more often than that during one resume is taken as it is.
  static constexpr int most_reloads = 5;
  /// So often other holds may come between a look and the release.
  static constexpr int most_changes = 5;

  explicit ResumePlan(Request request);

  Step next(const Observation& observation) override;

 private:
  // What is sent, where no part of its own says it.
  [[nodiscard]] runtime_api::Batch ask(const char* phase) const;
  [[nodiscard]] Scope scope() const noexcept { return waited_up_ ? Scope::holds : Scope::up; }
  [[nodiscard]] runtime_api::Batch release(WallTime now);
  [[nodiscard]] Step done();

  // What is made of an answer, in the rows and the report. Those that return a bool say whether
  // the resume goes that way.
  void read(const Observation& observation);
  bool turn_to_new_workers(const Observation& observation);
  bool refuse_foreign(const Observation& observation);
  bool refuse_unknown_backend(const Observation& observation);
  bool must_wait_up(const Observation& observation);
  [[nodiscard]] bool may_release(const Observation& observation) const;
  [[nodiscard]] bool must_ramp() const;
  bool mark_next_record();
  bool confirm_mark(const Observation& observation);
  bool takes_step(const Observation& observation);
  bool must_look_again(const Observation& observation);
  bool must_look_last(const Observation& observation);
  void tell_waiting();
  [[nodiscard]] bool must_retry(const Observation& observation) const;
  void conclude(const Observation& observation);
  bool close_next_record();
  void note_closed(const Observation& observation);
  void note_aftermath(const Observation& observation);

  [[nodiscard]] bool has_begun() const;
  [[nodiscard]] bool is_wanted_up(const ResumedEndpoint& endpoint,
                                  const std::string& backend) const;
  [[nodiscard]] std::optional<std::string> find_down() const;
  void give_up_waiting(const std::string& down, WallTime now);
  void tell_unshown();
  [[nodiscard]] bool is_letting_through(const ResumedEndpoint& endpoint) const;
  [[nodiscard]] bool is_asked(const ResumedEndpoint& endpoint) const;
  [[nodiscard]] bool is_over(const HeldSwitch& held) const;
  [[nodiscard]] Report report() const;

  int at_{0};  ///< where next() goes on
  Request request_;
  ResumeRows rows_;
  Report report_;  ///< without its switches: those are rows
  bool waited_up_{false};
  bool ramped_{false};          ///< the ramp is over, or there is none
  std::int64_t step_{0};        ///< of the ramp
  std::size_t next_record_{0};  ///< of those that the journal knows
  int last_looks_{0};
  bool fresh_{false};  ///< the next survey is on new connections
  int reloads_{0};
  int changes_{0};
  WaitSweeps sweeps_;
  runtime_api::Batch batch_;  ///< of the sweeps
};

}  // namespace stillgate::hold
