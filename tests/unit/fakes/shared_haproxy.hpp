// One simulated HAProxy with all who meet at it: suspends, resumes, extends, their guards, a
// reload.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hold/guard/guard_plan.hpp"
#include "hold/plan.hpp"
#include "simulated_fleet.hpp"

namespace stillgate::hold {

enum class Verb { suspend, resume, extend };

/// A call of somebody's, and how it is made.
struct CallMade {
  Verb verb{};
  int machine{0};  ///< whose journal it has
  bool force{false};
};

/// What else happens once, at any moment.
enum class Trouble {
  none,
  call_dies,          ///< the first one
  guard_dies,         ///< of the oldest hold, and its standby takes over
  call_loses_answer,  ///< to what is under way, which runs
  guard_loses_answer,
  commands_get_lost,   ///< the rest of what is under way never runs, and has no answer
  commands_come_late,  ///< it runs at some later moment, and has no answer
  guard_freezes,       ///< of the oldest hold; it goes on at some later moment
};

struct Meeting {
  const char* version;
  bool variables{true};
  bool held{true};  ///< by machine 0, before all this begins
  std::vector<CallMade> calls;
  bool reloads{false};
  bool expires{false};  ///< the clock jumps once, to shortly before the next deadline
  Trouble trouble{Trouble::none};
  bool waits{false};    ///< a release waits behind each guard
  bool gated{false};    ///< all holds are the gate's
  bool rejects{false};  ///< and refuse requests behind their deadline
};

/// All of them, one act at a time: who acts next is the caller's choice.
class SharedHAProxy {
 public:
  /// Calls by their numbers; then guards, by the numbers of their calls.
  using Actor = int;
  static constexpr Actor first_guard = 10;
  static constexpr Actor reload = 20;
  static constexpr Actor expiry = 21;
  static constexpr Actor trouble = 22;
  static constexpr Actor late_command = 23;
  static constexpr Actor thaw = 24;
  static constexpr Actor line = 25;

  explicit SharedHAProxy(const Meeting& meeting);

  /// Who can do something now.
  [[nodiscard]] std::vector<Actor> able() const;
  [[nodiscard]] static bool is_call(Actor who) { return who < first_guard; }
  [[nodiscard]] static bool is_guard(Actor who) { return who >= first_guard && who < reload; }
  /// It may happen in the middle of somebody's step. Where releases wait, all that goes on by
  /// itself would add too many courses.
  [[nodiscard]] bool may_come_between(Actor who) const { return !meeting_.waits || who <= reload; }
  /// In the middle of a step: to go on with somebody else is a preemption.
  [[nodiscard]] bool busy(Actor who) const;
  [[nodiscard]] bool over(Actor who) const;
  /// Nobody has anything left to do.
  [[nodiscard]] bool over() const;
  void act(Actor who);

  /// Held, and nobody is left who would end that: nothing, or what is wrong.
  [[nodiscard]] std::optional<std::string> wrong() const;
  [[nodiscard]] const std::string& story() const { return story_; }

 private:
  /// The commands of one step on one connection, which leads to one process and stays with it.
  struct Exchange {
    std::vector<runtime_api::Command> commands;
    std::size_t process{0};
    std::chrono::milliseconds asked_at{0};
    runtime_api::Answer answer{};
    [[nodiscard]] bool done() const { return answer.replies.size() == commands.size(); }
  };
  struct Call {
    CallMade made;
    std::string id;  ///< of a suspend's hold
    std::unique_ptr<Plan> plan{};
    Observation seen{observed::Begin{}, {}, {}, false};
    std::chrono::milliseconds began{0};
    std::optional<std::size_t> process{};  ///< that its kept connection leads to
    std::optional<Exchange> asks{};
    std::optional<std::chrono::milliseconds> rests_until{};
    std::optional<Report> report{};
    bool died{false};
    std::set<std::string> known{};  ///< holds in the journal when it began
    [[nodiscard]] bool over() const { return report || died; }
  };
  struct Guard {
    Record record;
    int machine{0};
    GuardInput input{};
    std::unique_ptr<GuardPlan> plan{};
    std::optional<std::size_t> process{};
    std::optional<Exchange> asks{};
    std::optional<runtime_api::Answer> answer{};
    std::optional<std::chrono::milliseconds> rests_until{};
    bool reads{false};  ///< the journal
    bool in_journal{false};
    bool left{false};
    bool frozen{false};
    [[nodiscard]] bool acts() const { return !left && !frozen; }
  };
  /// A release that a guard has left waiting in HAProxy.
  struct Line {
    std::size_t process{0};
    std::string number;
    std::size_t guard{0};  ///< whose connection it has
    std::chrono::milliseconds fires_at{0};
    std::vector<runtime_api::Command> commands;
  };
  /// What was said of a hold to whoever made it.
  struct Promise {
    std::chrono::milliseconds until{0};
    bool ended{false};    ///< a resume said so, or the suspend that it failed
    bool doubted{false};  ///< a resume failed, and may have opened it
  };

  void make_plan(Call& call);
  void start_guard(Call& call, const Record& record);
  void begin_plan(Guard& guard);
  void act_call(std::size_t number);
  void act_guard(std::size_t number, Guard& guard);
  void act_reload();
  void act_expiry();
  void act_trouble();
  void act_late_command();
  void act_line();
  void arm(std::size_t number, const std::string& line);
  void close_line(std::size_t number);
  [[nodiscard]] const Line* next_line() const;
  void pass_to(std::chrono::milliseconds time);
  void share_gates(std::size_t from);
  void note_shut(std::size_t process, const runtime_api::Command& command);
  [[nodiscard]] std::optional<runtime_api::Answer> lose(std::optional<Exchange>& asks,
                                                        Trouble what);
  void run_some(Exchange& asks);
  void note_done(Call& call);
  void note_state();
  [[nodiscard]] bool must_rest(std::chrono::milliseconds until) const;
  [[nodiscard]] std::optional<std::chrono::milliseconds> next_deadline() const;
  [[nodiscard]] bool stands(const Promise& promise) const;
  [[nodiscard]] bool is_missing() const;
  [[nodiscard]] bool is_resuming() const;
  [[nodiscard]] bool owned() const;
  [[nodiscard]] bool held() const;
  // By the gate.
  [[nodiscard]] std::string token_in(std::size_t process) const;
  [[nodiscard]] std::string holder() const;
  [[nodiscard]] std::chrono::milliseconds since_start(WallTime time) const;
  [[nodiscard]] std::vector<Record> journal_of(int machine) const;

  Meeting meeting_;
  Trouble trouble_;
  bool expires_;
  bool reloads_;
  std::vector<SimulatedFleet> processes_;  ///< the last one serves
  std::vector<Call> calls_;
  std::map<std::size_t, Guard> guards_;  ///< by the number of their call
  std::map<int, std::map<std::string, Record>> journals_;
  std::map<std::string, Promise> promises_;
  std::optional<Exchange> late_;
  std::vector<Line> lines_;
  bool shuts_others_{false};
  std::chrono::milliseconds now_{0};
  std::optional<std::chrono::milliseconds> reloaded_at_;
  std::optional<std::chrono::milliseconds> unwanted_since_;
  std::optional<std::chrono::milliseconds> missing_since_;
  std::string story_;
};

}  // namespace stillgate::hold
