// The plan of `--ready-first`: before anything is held, the servers that are to serve are brought
// to `drain`, where HAProxy checks them, and must be up by a check that finished after that.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cutover_rows.hpp"
#include "hold/plan.hpp"

namespace stillgate::hold {

class ReadyPlan final : public Plan {
 public:
  struct Request {
    CutoverRequest cutover;
    std::chrono::milliseconds ready_for{0};  ///< wait so long for the checks
    /// What an earlier one has brought to drain: puts it back, and does nothing else.
    std::vector<CutoverRow> moved{};
  };

  static constexpr std::chrono::milliseconds look_pause{100};
  static constexpr std::chrono::milliseconds undo_for{3000};

  explicit ReadyPlan(Request request);

  Step next(const Observation& observation) override;

  /// What was brought to drain and is still there.
  [[nodiscard]] const std::vector<CutoverRow>& moved() const { return moved_; }

 private:
  /// One that is to serve, at one endpoint.
  struct Server {
    std::size_t endpoint;
    std::string place;
    std::string now{};  ///< its state; empty: unknown
    ServerHealth health{};
    bool moved{false};   ///< a write to drain was sent
    bool forced{false};  ///< its health was set to 0 since then, so that `rise` checks have passed
    std::optional<Error> refusal{};

    /// With `fall 1` HAProxy's own word and a check's look alike.
    [[nodiscard]] bool must_be_forced() const {
      return moved && !forced && now == "drain" && health.falls_once;
    }
    [[nodiscard]] bool is_ready() const {
      if (now != "drain" && now != "ready") return false;
      return !must_be_forced() && (health.up == Up::shown || health.up == Up::unshown);
    }
  };

  struct Sent {
    std::size_t server;
    bool forces;
  };

  [[nodiscard]] runtime_api::Batch look() const;
  [[nodiscard]] runtime_api::Batch write();
  [[nodiscard]] runtime_api::Batch write_back() const;
  [[nodiscard]] CutoverRecord record() const;
  [[nodiscard]] CutoverRecord record_before() const;

  void read(const Observation& observation);
  bool refuse(const Observation& observation);
  bool confirm_record(const Observation& observation);
  void read_written(const Observation& observation);
  [[nodiscard]] bool all_ready() const;
  [[nodiscard]] bool must_give_up(const Observation& observation) const;
  void give_up(const Observation& observation);
  bool undo_again(const Observation& observation);
  void tell_undone();
  void note_moved();
  [[nodiscard]] Step done();

  int at_{0};  ///< where next() goes on
  Request request_;
  CutRows rows_;
  std::vector<Server> servers_;
  std::vector<Sent> sent_;  ///< by the last write
  bool kept_{false};        ///< what stood before is on record
  bool gave_up_{false};
  std::chrono::milliseconds undo_began_{0};
  std::vector<CutoverRow> moved_;
  Report report_;
};

}  // namespace stillgate::hold
