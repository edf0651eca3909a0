// The plan of `extend`: moves the deadline of a hold that is in effect.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "hold/record/owner.hpp"
#include "hold/record/record.hpp"
#include "hold/survey/survey.hpp"
#include "hold/waits/wait_sweep.hpp"
#include "plan.hpp"
#include "request.hpp"

namespace stillgate::hold {

/// Refuses all, or extends where it can: at an endpoint that cannot be reached the hold ends at its
/// old deadline.
class ExtendPlan final : public Plan {
 public:
  struct Request {
    HoldRequest hold;
    std::vector<Record> records;  ///< holds that the journal knows
    Claim claim;
    std::chrono::milliseconds by{0};  ///< moves the deadline by this time
    /// As of ExtendOptions; nothing: wherever it can, in whatever time.
    std::optional<std::chrono::milliseconds> keep{};
  };

  /// For a cutover it begins only where this time is left, and so many round trips.
  static constexpr std::chrono::milliseconds least_time{200};
  static constexpr int least_round_trips = 6;

  explicit ExtendPlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage {
    start,
    surveying,
    timing,   ///< when HAProxy would end what waits
    looking,  ///< for the release that waits for the old deadline
    rehearsing,
    writing,
    resting,    ///< so that the guard can follow
    following,  ///< looking whether it has
    verifying,
    recording,
    settling,  ///< until the old deadline is behind, where it is near
    settled
  };

  Step proceed(const Observation& observation);
  Step ask(Stage stage);
  Step surveyed(const Observation& observation);
  void weigh(std::size_t endpoint, std::size_t frontend, const Seen& seen, WallTime now);
  [[nodiscard]] runtime_api::Batch time() const;
  Step timed(const Observation& observation);
  Step look(Stage stage, const Observation& observation);
  Step looked(const Observation& observation);
  Step follow();
  [[nodiscard]] bool is_backed(std::size_t endpoint) const;
  [[nodiscard]] bool has_followed(std::size_t endpoint);
  void tell_behind();
  void end_before(WallTime deadline);
  [[nodiscard]] bool is_over() const { return limit_ && now_ >= *limit_; }
  [[nodiscard]] bool reaches_all() const;
  [[nodiscard]] std::chrono::milliseconds time_needed() const;
  Step refuse_late();
  Step rehearse();
  Step rehearsed(const Observation& observation);
  [[nodiscard]] bool is_extended(const Record& record) const;
  [[nodiscard]] std::vector<runtime_api::Condition> conditions() const;
  Step write();
  Step verified(const Observation& observation);
  Step record(WallTime now);
  Step settle(WallTime now);
  Step settled(const Observation& observation);
  void tell_unrecorded(const Error& error);
  Step done();

  /// One switch; `longer`: its record with the new deadline, where it is to be extended.
  struct Course {
    std::optional<Record> longer;
    GateHandle gate;
  };

  /// Of the releases that wait at an endpoint: HAProxy's numbers of those that stood before.
  struct Waiting {
    std::vector<std::string> before{};
    bool followed{false};  ///< the guard has another one there, and none of those
  };

  Request request_;
  WaitSweeps sweeps_;
  std::vector<Waiting> waiting_;
  int looks_{0};
  std::size_t frontends_;
  Stage stage_{Stage::start};
  bool refused_{false};
  std::vector<Course> courses_;
  std::vector<Seen> seen_;
  std::vector<bool> keeps_;  ///< per endpoint: it has process variables
  std::size_t next_record_{0};
  WallTime now_;
  std::optional<WallTime> limit_;  ///< the earliest old deadline, less what is kept
  Report report_;
};

}  // namespace stillgate::hold
