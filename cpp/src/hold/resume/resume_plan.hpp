// The plan of `resume`: release what can be reached, retry the rest, restore the limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hold/plan.hpp"
#include "hold/record/owner.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"

namespace stillgate::hold {

class ResumePlan final : public Plan {
 public:
  struct Request {
    HoldRequest hold;
    std::vector<Record> records;        ///< holds that the journal knows
    std::optional<std::int64_t> limit;  ///< in place of the recorded one; 1 to 2^31-1
    std::chrono::milliseconds ramp{
        0};  ///< lets the queue of a gate go, and raises the limits over that time; 0: at once
    bool wait_up{false};  ///< not before each backend has a server that is up
    std::chrono::milliseconds retry_for{0};
    Claim claim{};
  };

  static constexpr std::chrono::milliseconds retry_pause{250};
  static constexpr std::chrono::milliseconds wait_up_pause{100};
  /// A ramp has so many steps, but none shorter than shortest_ramp_step.
  static constexpr std::int64_t ramp_steps = 20;
  static constexpr std::chrono::milliseconds shortest_ramp_step{50};

  /// A gate that was opened is looked at so often, until nobody waits there any more: what it
  /// counted is then complete.
  static constexpr int most_last_looks = 25;
  static constexpr std::chrono::milliseconds last_look_pause{20};

  explicit ResumePlan(Request request);

  Step next(const Observation& observation) override;

 private:
  enum class Stage {
    start,
    surveying,
    waiting_up,
    marking,
    marking_journal,
    ramping,
    between_steps,
    releasing,
    verifying,
    letting_through,
    pausing,
    disarming,
    closing_records
  };

  /// One frontend at one endpoint on its way to being released.
  struct Course {
    bool settled{false};
    bool written{false};           ///< a release was sent
    bool ramped{false};            ///< it takes part in the ramp that is under way
    bool unfinished{false};        ///< open, but by a ramp that was broken off
    bool remembered{false};        ///< the HAProxy keeps a record of the hold
    bool was_gated{false};         ///< the gate held it when it was seen first
    bool foreign{false};           ///< its record is of somebody else's hold
    bool forced{false};            ///< so it was, and it was told that this is overruled
    bool keeps_marks{false};       ///< the HAProxy has process variables
    LockSeen lock;                 ///< as it was seen last
    GateHandle gate;               ///< `used`: it is the gate that holds
    std::size_t commands{0};       ///< of the release that is under way
    std::optional<Error> lost;     ///< no answer came to it: it may never have arrived
    std::optional<Error> refusal;  ///< HAProxy's answer to it
    std::optional<std::int64_t> target;
    std::optional<Record> record;  ///< of the hold, from the HAProxy or the journal
  };

  Step ask(const char* phase);
  Step surveyed(const Observation& observation);
  Step wait_up_or_release(const Observation& observation);
  Step mark_ramp();
  Step marked(const Observation& observation);
  Step mark_journal(const Observation& observation);
  Step ramp_step(const Observation& observation);
  Step release();
  Step released(const std::vector<runtime_api::Answer>& answers);
  Step retry_or_close(const Observation& observation);
  [[nodiscard]] bool begun() const;
  bool refuse_foreign(WallTime now);
  [[nodiscard]] std::optional<std::string> ended_here(std::size_t course, WallTime now) const;
  Step disarm(WallTime now);
  Step close_records();
  Step done();

  void judge(std::size_t endpoint, const Seen& seen);
  void recognize(Switch& one, Course& course, const Seen& seen, std::size_t frontend);
  void judge_open(Switch& one, Course& course);
  void judge_zero(Switch& one, Course& course);
  void judge_gate(Switch& one, Course& course, const Seen& seen, std::size_t frontend);
  void aim(Switch& one, Course& course);
  [[nodiscard]] std::optional<std::string> down() const;
  [[nodiscard]] bool pending(std::size_t endpoint) const;
  [[nodiscard]] bool due(std::size_t course) const;
  [[nodiscard]] bool any_due() const;
  [[nodiscard]] bool letting_through(std::size_t endpoint) const;
  [[nodiscard]] bool anybody_waits() const;
  [[nodiscard]] bool any_limit_due() const;
  [[nodiscard]] bool over(std::size_t course) const;

  Request request_;
  std::size_t endpoints_;
  std::size_t frontends_;
  Stage stage_{Stage::start};
  std::vector<Course> courses_;
  std::vector<std::optional<Seen>> first_;  ///< what was seen at each endpoint first
  std::vector<std::optional<Seen>> last_;   ///< what was seen there last, in this attempt
  bool waited_up_{false};
  int last_looks_{0};
  bool ramped_{false};
  std::int64_t step_{0};  ///< of the ramp
  std::size_t next_record_{0};
  Report report_;
};

}  // namespace stillgate::hold
