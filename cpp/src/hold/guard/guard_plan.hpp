// The guard's plan for one endpoint: keeps a hold by maxconn in effect there, and ends it in time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <stillgate/info.hpp>

#include "guarded_switch.hpp"
#include "hold/record/record.hpp"
#include "hold/waits/wait_sweep.hpp"
#include "mode.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// What the guard knows of the hold as a whole when it asks its plan for the next step.
struct GuardInput {
  GuardMode mode{GuardMode::arming};
  /// Both on one clock that is never stepped, and runs on while the machine sleeps.
  std::chrono::milliseconds now{0};
  std::chrono::milliseconds deadline{0};
  WallTime wall;     ///< only for the marks that are left in HAProxy
  bool over{false};  ///< somebody resumed it elsewhere: nothing is applied again
  /// The holds that this machine's journal has now: the answer to a ReadJournal, else nullptr.
  const std::vector<Record>* journal{nullptr};
};

/// Something that people want to know.
struct GuardNotice {
  enum class Kind { reapplied, lost, found, resumed, released, gone };
  Kind kind{};
  std::string frontend;  ///< empty: of the whole endpoint
  std::string message;
};

namespace guard_step {
/// Send this.
struct Ask {
  std::vector<runtime_api::Command> commands;
  bool fresh{false};    ///< on a new connection: the kept one may lead to an old worker
  bool release{false};  ///< may wait for its answer after the deadline
};
/// Nothing to do until then, unless the input changes.
struct Wait {
  std::chrono::milliseconds until{0};
};
/// Send this line on a connection of its own, and keep that open; answered by whether it was sent.
struct Arm {
  std::string line;
};
/// Close the connection of the last Arm: nothing waits on it any more.
struct Disarm {};
/// The next step needs what the journal says.
struct ReadJournal {};
/// All is done at this endpoint.
struct Done {};
}  // namespace guard_step

class GuardPlan {
 public:
  using Step = std::variant<guard_step::Ask, guard_step::Wait, guard_step::Arm, guard_step::Disarm,
                            guard_step::ReadJournal, guard_step::Done>;

  static constexpr std::chrono::milliseconds pause{100};  ///< between two surveys
  /// How long the guard watches a frontend that it opened: a commit in transit may come late.
  /// Longer if an answer to the guard was lost; until the deadline if the suspend failed or died,
  /// because the result of its commit is unknown.
  static constexpr std::chrono::milliseconds quiet{400};
  static constexpr std::chrono::milliseconds quiet_after_loss{2000};
  /// An HAProxy that is not there for so long after the deadline has nothing left to release.
  static constexpr std::chrono::milliseconds gone_after{3000};
  /// And one that is there and does not answer is given up.
  static constexpr std::chrono::milliseconds given_up_after{3'600'000};

  /// Nothing is decided by a survey that is older, beside what HAProxy usually takes.
  static constexpr std::chrono::milliseconds current_for{500};
  /// The journal's disk may hang: then it counts as empty.
  static constexpr std::chrono::milliseconds journal_patience{2000};

  /// `record`: with only the switches at that endpoint.
  GuardPlan(std::string endpoint, Record record);

  /// `answer`: to the last Ask, else nullptr.
  Step next(const GuardInput& input, const runtime_api::Answer* answer);

  /// The first survey has succeeded or failed; the error of the last one, if it failed.
  [[nodiscard]] bool surveyed() const noexcept { return surveyed_; }
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }
  /// A later deadline than the record's, that somebody wrote into the HAProxy.
  [[nodiscard]] std::optional<WallTime> extended() const noexcept { return extended_; }
  /// Something is held here, or may be, as far as is known.
  [[nodiscard]] bool holds() const;
  /// Somebody resumed it here.
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }
  /// Whether HAProxy's own `wait` is the guard's backup, once that is known; the record of a hold
  /// that is applied again has it.
  [[nodiscard]] std::optional<bool> backed() const noexcept { return backed_; }
  /// What it holds now, with the limits to restore: a reload may have changed them.
  [[nodiscard]] Record record() const;
  /// The same switches, in the order in which they came.
  [[nodiscard]] const std::vector<GuardedSwitch>& switches() const noexcept { return switches_; }
  [[nodiscard]] std::vector<GuardNotice> take_notices();

 private:
  struct Process {
    std::int64_t pid{0};
    std::int64_t uptime_s{0};
  };
  /// The process that answered the last survey.
  struct Answering {
    Process process;
    std::string version;
    bool stopping{false};
  };

  // What is sent, and what is noted of its answer.
  guard_step::Ask survey();
  bool read(const GuardInput& input, const runtime_api::Answer& answer);
  [[nodiscard]] std::optional<Error> parse(const GuardInput& input,
                                           const runtime_api::Answer& answer);
  guard_step::Ask release(const GuardInput& input);
  guard_step::Ask put_back();
  guard_step::Ask write_records();
  void note_written(const runtime_api::Answer& answer);
  guard_step::Ask clear(const GuardInput& input);
  void note_cleared(const GuardInput& input, const runtime_api::Answer& answer);
  [[nodiscard]] guard_step::Wait wait_for_survey(const GuardInput& input) const;
  [[nodiscard]] bool is_stale(const GuardInput& input, std::chrono::milliseconds more = {}) const;

  // Of HAProxy's own `wait` behind the guard (guard_waits.cpp).
  [[nodiscard]] bool must_end_line(const GuardInput& input) const;
  [[nodiscard]] bool is_ended_by_others(const GuardInput& input) const;
  [[nodiscard]] bool is_firing(const GuardInput& input) const;
  [[nodiscard]] bool must_arm(const GuardInput& input) const;
  [[nodiscard]] std::optional<std::string> line(const GuardInput& input) const;
  void note_armed(const GuardInput& input, bool sent);
  [[nodiscard]] bool wants_line(const GuardInput& input) const;
  void set_backed(bool backed);

  // Of an endpoint that does not answer.
  bool retry_at_once(const GuardInput& input);
  void tell_loss(const GuardInput& input);
  bool give_up_lost(const GuardInput& input);

  // What follows from a survey (guard_verdict.cpp).
  void judge_old_worker(const GuardInput& input);
  void judge(const GuardInput& input);
  void judge_switch(const GuardInput& input, GuardedSwitch& guarded);
  void judge_released(GuardedSwitch& guarded) const;
  void judge_held(const GuardInput& input, GuardedSwitch& guarded);
  void judge_open(const GuardInput& input, GuardedSwitch& guarded);
  [[nodiscard]] bool is_ours(const SwitchReading& seen) const;
  [[nodiscard]] bool is_new(const SwitchReading& seen) const;
  [[nodiscard]] static bool is_nobodys(const SwitchReading& seen);
  [[nodiscard]] static bool is_robbed(const SwitchReading& seen);
  [[nodiscard]] bool needs_journal(const GuardInput& input) const;
  void leave_what_is_taken(const GuardInput& input);
  [[nodiscard]] bool is_doubtful(const GuardInput& input, const GuardedSwitch& guarded) const;
  [[nodiscard]] bool is_taken(const GuardInput& input, const GuardedSwitch& guarded) const;
  [[nodiscard]] bool may_not_put_back() const;
  void give_up_put_back();
  [[nodiscard]] bool is_left_over(const GuardInput& input, const GuardedSwitch& guarded) const;
  [[nodiscard]] bool any_left_over(const GuardInput& input) const;
  [[nodiscard]] bool any(GuardedSwitch::Todo todo) const;
  bool is_done(const GuardInput& input);
  [[nodiscard]] bool is_watching(const GuardInput& input) const;
  [[nodiscard]] static bool is_ending(const GuardInput& input);
  /// A survey so long before the deadline is the last one before the release.
  [[nodiscard]] std::chrono::milliseconds lead() const;
  void give_up(GuardedSwitch& guarded, GuardNotice::Kind kind, std::string message);
  void notice(GuardNotice::Kind kind, const GuardedSwitch& guarded, std::string message);

  int at_{0};  ///< where next() continues
  std::string endpoint_;
  Record hold_;  ///< its switches are those below
  std::vector<GuardedSwitch> switches_;

  Answering answering_;
  std::optional<Process> process_;  ///< that holds
  std::string version_;
  bool has_variables_{false};
  std::chrono::milliseconds rtt_{1};

  /// What a waiting release was made from.
  struct Terms {
    std::chrono::milliseconds deadline{0};
    std::int64_t process{0};
    std::vector<HeldSwitch> switches;
    bool operator==(const Terms&) const = default;
  };
  [[nodiscard]] Terms terms(const GuardInput& input) const;
  bool may_back_{false};         ///< it was proven that a release may wait here
  bool left_over_{false};        ///< another guard of this hold may have left one
  std::optional<Terms> armed_;   ///< one waits
  std::optional<Terms> failed_;  ///< could not be sent
  std::optional<bool> backed_;
  WaitSweep sweep_;
  std::vector<runtime_api::Command> asked_;  ///< for the sweep
  std::string line_;

  bool surveyed_{false};
  std::optional<Error> error_;
  GuardMode asked_in_{};     ///< the mode when the last survey was asked
  bool fresh_{false};        ///< the next survey needs a new connection
  bool asked_fresh_{false};  ///< the last one had one
  std::chrono::milliseconds began_{0};
  std::chrono::milliseconds asked_at_{0};
  std::chrono::milliseconds age_{0};        ///< of the last survey, once it was answered
  std::chrono::milliseconds usual_age_{0};  ///< of the one before
  std::optional<std::chrono::milliseconds> lost_at_;
  bool loss_told_{false};
  bool write_lost_{false};  ///< a command of ours may still run

  std::optional<std::chrono::milliseconds> opened_at_;   ///< by the guard
  std::optional<std::chrono::milliseconds> resumed_at_;  ///< by somebody else
  std::optional<WallTime> released_at_;                  ///< or first seen open while it ends
  std::optional<WallTime> extended_;
  bool resumed_{false};
  std::vector<GuardNotice> notices_;
};

}  // namespace stillgate::hold
