// The plan of `cutover`: changes what serves, on every HAProxy or on none.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

#include "cutover_rows.hpp"
#include "hold/plan.hpp"
#include "proof.hpp"

namespace stillgate::hold {

class CutoverPlan final : public Plan {
 public:
  using Request = CutoverRequest;

  static constexpr std::chrono::milliseconds retry_pause{100};
  /// A cutover begins only where the hold has this time left, and so many round trips.
  static constexpr std::chrono::milliseconds least_time{1000};
  static constexpr int least_round_trips = 10;

  explicit CutoverPlan(Request request);

  Step next(const Observation& observation) override;

  /// Of the hold that it is behind, as last read: its id (empty: none is asked for, or several) and
  /// its end.
  [[nodiscard]] std::string hold_id() const;
  [[nodiscard]] std::optional<WallTime> hold_deadline() const;

 private:
  // What is sent.
  [[nodiscard]] runtime_api::Batch look(const Observation& observation, bool is_undoing) const;
  [[nodiscard]] runtime_api::Batch write(const Observation& observation);
  [[nodiscard]] runtime_api::Batch write_back(const Observation& observation) const;
  [[nodiscard]] CutoverRecord record() const;
  [[nodiscard]] CutoverRecord record_behind() const;

  // What is made of an answer.
  void read(const Observation& observation);
  bool refuse(const Observation& observation);
  [[nodiscard]] bool may_wait_for_check(const Observation& observation) const;
  bool refuse_late(const Observation& observation);
  bool confirm_record(const Observation& observation);
  void read_written(const Observation& observation);
  bool must_undo(const Observation& observation);
  void begin_undo(const Observation& observation);
  bool undo_again(const Observation& observation);

  void find_deadline();
  void end_before(WallTime deadline);
  [[nodiscard]] std::optional<std::chrono::milliseconds> left(const Observation& observation,
                                                              std::chrono::milliseconds kept) const;
  [[nodiscard]] std::chrono::milliseconds time_needed() const;
  [[nodiscard]] bool all_stand() const;
  [[nodiscard]] bool is_time_over(const Observation& observation) const;
  void tell();
  [[nodiscard]] bool is_record_over() const;
  void note_record(const Observation& observation);
  [[nodiscard]] Error why_undone() const;
  [[nodiscard]] Step done();

  int at_{0};  ///< where next() goes on
  Request request_;
  CutRows rows_;
  Report report_;  ///< its cutover's changes are rows
  proof::Proof proof_;
  CutoverState state_{CutoverState::refused};
  bool written_{false};
  std::chrono::milliseconds undo_began_{0};
  std::set<std::string> holds_;       ///< by their ids
  std::optional<WallTime> deadline_;  ///< the earliest of the hold's, less what is kept of it
};

}  // namespace stillgate::hold
