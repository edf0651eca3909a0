// The plan of `suspend`: check, arm, commit, verify, drain, and back if it must.
#pragma once

#include <chrono>
#include <vector>

#include "commit.hpp"
#include "hold/plan.hpp"
#include "suspend_rows.hpp"
#include "waits.hpp"

namespace stillgate::hold {

/// All or nothing.
class SuspendPlan final : public Plan {
 public:
  using Request = SuspendRequest;

  static constexpr int most_commits = 5;

  explicit SuspendPlan(Request request);

  Step next(const Observation& observation) override;

  // For who has to say what is left where next() or a step has thrown.
  /// Something that holds may have been sent.
  [[nodiscard]] bool may_hold() const noexcept { return may_hold_; }
  /// The hold's record, without its switches; its times, once it has begun.
  [[nodiscard]] const Record& hold_record() const noexcept { return request_.record; }

 private:
  // What is sent, where no part of its own says it.
  [[nodiscard]] runtime_api::Batch survey() const;
  [[nodiscard]] runtime_api::Batch time_waits() const;
  [[nodiscard]] runtime_api::Batch look_closer() const;
  [[nodiscard]] step::StartGuard start_guard() const;
  [[nodiscard]] step::TellGuard dismiss_guard() const;
  [[nodiscard]] Step done() const;

  // What is made of an answer, in the rows and the report. Those that return a bool say whether
  // the suspend goes that way, and the report says why.
  void note_survey(const Observation& observation);
  void note_times(const Observation& observation);
  bool confirm_free(const Observation& observation);
  void advise(const std::vector<runtime_api::Answer>& answers);
  void make_record(const Observation& observation);
  bool confirm_journal(const Observation& observation);
  bool confirm_guard(const Observation& observation);
  bool confirm_swept(const Observation& observation);
  bool prepare_lock(const Observation& observation);
  bool confirm_lock(const Observation& observation);
  bool prepare_arming();
  bool confirm_armed(const Observation& observation);
  bool prepare_commit(const Observation& observation);
  bool must_commit_again(const Observation& observation);
  bool confirm_sent(const Observation& observation);
  bool confirm_held(const Observation& observation);
  void begin_drain(const Observation& observation);
  bool give_up_drain(const Observation& observation);
  [[nodiscard]] bool must_drain() const;
  void note_drained(const Observation& observation);
  bool has_lost_hold(const Observation& observation);
  bool confirm_sealed(const Observation& observation);
  void note_sealed(const Observation& observation);
  bool confirm_handover(const Observation& observation);
  void close_record(const Observation& observation);
  void note_closed(const Observation& observation);
  bool stopped(const Observation& observation);
  [[nodiscard]] bool is_near_deadline(const Observation& observation) const;
  [[nodiscard]] bool comes_of_deadline(const Observation& observation) const;
  void tell_deadline();
  bool too_late(const Observation& observation);

  [[nodiscard]] bool wants_drain() const;
  /// The caller's stop comes before any other reason.
  void end(const Observation& observation, Ending ending);
  [[nodiscard]] Report report() const;
  template <class Test>
  [[nodiscard]] Record record_with(const Test& test) const;
  [[nodiscard]] Record record() const;

  int at_{0};  ///< where next() goes on
  Request request_;
  SuspendRows rows_;
  Report report_;  ///< without its switches, once they are rows
  commit::Terms terms_;
  WaitProofs proofs_;
  WaitSweeps sweeps_;
  runtime_api::Batch batch_;  ///< of the proofs, or the sweeps
  std::chrono::milliseconds proof_began_{0};
  bool has_guard_{false};  ///< one was started
  bool has_begun_{false};  ///< to take the lock: there may be something to take back
  bool may_hold_{false};   ///< a commit may have been sent
  int commits_{0};
  std::chrono::milliseconds drain_began_{0};
  bool has_doubted_{false};  ///< an endpoint was looked at again after the drain
  int attempt_{0};           ///< of the rollback
};

}  // namespace stillgate::hold
