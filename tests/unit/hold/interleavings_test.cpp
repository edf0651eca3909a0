// The orders of the commands of a guard, a resume and a reload at one simulated HAProxy.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fakes/simulated_fleet.hpp"
#include "hold/guard/guard_plan.hpp"
#include "hold/record/record_variable.hpp"
#include "hold/resume/resume_plan.hpp"

namespace stillgate::hold {
namespace {

using runtime_api::Answer;
using runtime_api::Command;
using std::chrono::milliseconds;

constexpr milliseconds deadline{5000};
/// After a resume that said done, nothing may be held for longer than that: ten surveys.
constexpr milliseconds soon{1000};
const WallTime start(milliseconds(1'800'000'000'000));

/// Where the resume comes from: the machine whose journal has the hold, or another one.
enum class From { here, elsewhere };
/// What else happens once, at any moment.
enum class Trouble { none, resume_dies, guard_dies, answer_lost };

/// The commands of one step on one connection, which leads to one process and stays with it.
struct Exchange {
  std::vector<Command> commands;
  std::size_t process{0};
  Answer answer{};

  [[nodiscard]] bool done() const { return answer.replies.size() == commands.size(); }
};

/// A hold by maxconn in effect at one HAProxy, its guard, a resume, a reload, and who is next.
class World {
 public:
  enum Actor { guard, resume, reload, trouble };

  World(const std::string& version, bool variables, From from, Trouble what)
      : trouble_(what), processes_{SimulatedFleet(1, {"a"})} {
    Host& host = processes_[0].hosts[0];
    host.version = version;
    host.remembers = variables;
    host.compares = !version.starts_with("2.4");
    record_.id = "0123456789abcdef";
    record_.owner = "anna@here";
    record_.started_at = start;
    record_.deadline = start + deadline;
    record_.switches.push_back({host.url, "a", host.limits["a"], {}, Lease::guard});
    if (variables) host.variables[variable_of("a")] = pack(record_);
    host.limits["a"] = 0;
    journaled_ = true;
    input_.deadline = deadline;
    input_.mode = GuardMode::holding;
    begin_guard();
    // Its first survey came before the hold.
    while (story_.empty()) act_guard();
    story_.clear();
    auto request = resume_request(processes_[0]);
    request.retry_for = milliseconds(0);
    if (from == From::here) {
      request.records = {record_};
    } else {
      request.records.clear();
      request.claim = {"bert@elsewhere", {}, true, "it must end"};
    }
    from_ = from;
    resume_ = std::make_unique<ResumePlan>(std::move(request));
  }

  /// Who can do something now.
  [[nodiscard]] std::vector<Actor> able() const {
    std::vector<Actor> all;
    if (!guard_left_) all.push_back(guard);
    if (!resumed()) all.push_back(resume);
    if (processes_.size() == 1) all.push_back(reload);
    if (trouble_ != Trouble::none) all.push_back(trouble);
    return all;
  }
  /// In the middle of a step: to go on with somebody else is a preemption.
  [[nodiscard]] bool busy(Actor who) const {
    return (who == guard && guard_asks_) || (who == resume && resume_asks_);
  }
  [[nodiscard]] bool over() const { return guard_left_ && resumed() && processes_.size() == 2; }
  [[nodiscard]] bool resumed() const { return report_ || resume_died_; }
  [[nodiscard]] bool held() const { return limit() == 0; }
  [[nodiscard]] std::int64_t limit() const { return processes_.back().hosts[0].limits.at("a"); }
  /// Time since a resume said done; nothing where none did.
  [[nodiscard]] std::optional<milliseconds> since_done() const {
    if (!report_ || report_->ending != Ending::done) return std::nullopt;
    return input_.now - done_at_;
  }
  [[nodiscard]] const std::string& story() const { return story_; }

  void act(Actor who) {
    switch (who) {
      case guard:
        story_ += 'g';
        act_guard();
        break;
      case resume:
        story_ += 'r';
        act_resume();
        break;
      case reload:
        story_ += " RELOAD ";
        act_reload();
        break;
      case trouble:
        story_ += " TROUBLE ";
        act_trouble();
        break;
    }
  }

 private:
  void begin_guard() {
    Record record = record_;
    plan_ = std::make_unique<GuardPlan>(record.switches[0].endpoint, std::move(record));
    guard_asks_.reset();
    guard_answer_.reset();
    guard_process_.reset();
  }

  /// One command of its step, or the next step.
  void act_guard() {
    if (guard_asks_) {
      run_some(*guard_asks_);
      if (!guard_asks_->done()) return;
      guard_answer_ = std::move(guard_asks_->answer);
      guard_asks_.reset();
      input_.now += milliseconds(1);
    }
    input_.wall = start + input_.now;
    // As the guard's main loop reads the journal, twice between two surveys.
    if (from_ == From::here && !journaled_) input_.over = true;
    const auto step = plan_->next(input_, guard_answer_ ? &*guard_answer_ : nullptr);
    if (plan_->resumed()) input_.over = true;
    guard_answer_.reset();
    input_.journal = nullptr;
    if (const auto* ask = std::get_if<guard_step::Ask>(&step)) {
      if (ask->fresh || !guard_process_) guard_process_ = processes_.size() - 1;
      guard_asks_ = Exchange{ask->commands, *guard_process_};
    } else if (const auto* rest = std::get_if<guard_step::Wait>(&step)) {
      story_ += '.';
      input_.now = std::max(rest->until, input_.now);
    } else if (std::holds_alternative<guard_step::ReadJournal>(step)) {
      journal_ = journaled_ ? std::vector<Record>{record_} : std::vector<Record>();
      input_.journal = &journal_;
    } else {
      guard_left_ = true;
    }
  }

  void act_resume() {
    if (resume_asks_) {
      run_some(*resume_asks_);
      if (!resume_asks_->done()) return;
      std::vector<Answer> answers;
      answers.push_back(std::move(resume_asks_->answer));
      resume_asks_.reset();
      seen_.what = observed::Answers{std::move(answers)};
    }
    seen_.now = start + input_.now;
    Step step = resume_->next(seen_);
    if (auto* done = std::get_if<step::Done>(&step)) {
      report_ = std::move(done->report);
      done_at_ = input_.now;
    } else if (const auto* batch = std::get_if<runtime_api::Batch>(&step)) {
      if (batch->fresh || !resume_process_) resume_process_ = processes_.size() - 1;
      resume_asks_ = Exchange{batch->work[0], *resume_process_};
    } else if (const auto* write = std::get_if<step::WriteJournal>(&step)) {
      journaled_ = !write->record.switches.empty();
      seen_.what = observed::Journaled{};
    } else {
      seen_.elapsed += std::get<step::Wait>(step).time;
      seen_.what = observed::Tick{};
    }
  }

  /// One command of those that write. A survey comes in two halves: more would add courses, and no
  /// race that these do not have.
  void run_some(Exchange& asks) {
    SimulatedFleet& fleet = processes_[asks.process];
    const bool writes =
        std::any_of(asks.commands.begin(), asks.commands.end(),
                    [](const Command& command) { return command.text().starts_with("set"); });
    const std::size_t next = asks.answer.replies.size();
    std::size_t end = writes ? next + 1 : asks.commands.size();
    if (!writes && next == 0) end = (end + 1) / 2;
    asks.answer.sent = true;
    for (std::size_t i = next; i < end; ++i) {
      auto answer = fleet.ask_one(0, {asks.commands[i]}, std::nullopt);
      asks.answer.replies.push_back(std::move(answer.replies.at(0)));
    }
  }

  void act_reload() {
    processes_.push_back(processes_[0]);
    processes_[0].hosts[0].stopping = true;
    Host& host = processes_[1].hosts[0];
    host.pid += 1;
    host.uptime = 0;
    host.variables.clear();
    host.limits = host.configured;
  }

  void act_trouble() {
    switch (std::exchange(trouble_, Trouble::none)) {
      case Trouble::none:
        break;
      case Trouble::resume_dies:
        if (!report_) resume_died_ = true;
        break;
      case Trouble::guard_dies:
        if (!guard_left_) begin_guard();
        break;
      case Trouble::answer_lost:
        if (!guard_asks_) break;
        // Some ran, and nobody knows which. The next step has a connection of its own.
        guard_answer_.emplace();
        guard_answer_->sent = true;
        guard_answer_->error = Error{Errc::early_eof, "simulated"};
        guard_asks_.reset();
        guard_process_.reset();
        break;
    }
  }

  Trouble trouble_;
  From from_{From::here};
  std::vector<SimulatedFleet> processes_;  ///< the last one serves
  Record record_;
  bool journaled_{false};  ///< on this machine
  std::vector<Record> journal_;
  std::string story_;

  GuardInput input_;
  std::unique_ptr<GuardPlan> plan_;
  std::optional<std::size_t> guard_process_;  ///< that its kept connection leads to
  std::optional<Exchange> guard_asks_;
  std::optional<Answer> guard_answer_;
  bool guard_left_{false};

  std::unique_ptr<ResumePlan> resume_;
  Observation seen_{observed::Begin{}, {}, {}, false};
  std::optional<std::size_t> resume_process_;
  std::optional<Exchange> resume_asks_;
  std::optional<Report> report_;
  bool resume_died_{false};
  milliseconds done_at_{0};
};

/// Goes through all orders with at most so many preemptions: somebody else acts in the middle of a
/// step. Few are enough for every race of two.
class Explorer {
 public:
  /// Where nobody else does anything, a guard surveys at most so often before they go on.
  static constexpr int most_turns = 2;

  explicit Explorer(int most_preemptions) : most_preemptions_(most_preemptions) {}

  template <class Make, class Check>
  std::size_t run(const Make& make, const Check& check) {
    std::size_t courses = 0;
    do {
      World world = make();
      course(world, check);
      ++courses;
    } while (!testing::Test::HasFailure() && next_path());
    return courses;
  }

 private:
  struct Choice {
    std::vector<World::Actor> among;
    std::size_t index{0};
  };

  template <class Check>
  void course(World& world, const Check& check) {
    std::size_t depth = 0;
    int preemptions = 0;
    int turns = 0;
    World::Actor current = World::guard;
    for (int acts = 0; !world.over(); ++acts) {
      ASSERT_LT(acts, 100'000) << world.story();
      auto among = candidates(world, current, preemptions, turns);
      if (among.size() > 1) {
        if (depth == path_.size()) path_.push_back({among});
        among = {path_[depth].among[path_[depth].index]};
        ++depth;
      }
      const World::Actor who = among[0];
      if (who != current && world.busy(current) && who != World::reload && who != World::trouble) {
        ++preemptions;
      }
      if (who == World::guard || who == World::resume) {
        turns = who == World::guard && !world.busy(who) ? turns + 1 : turns;
        current = who;
      }
      world.act(who);
      check(world);
      if (testing::Test::HasFailure()) return;
    }
  }

  [[nodiscard]] std::vector<World::Actor> candidates(const World& world, World::Actor current,
                                                     int preemptions, int turns) const {
    auto able = world.able();
    const bool alone = able.size() == 1;
    // Whoever is in the middle of a step goes on, unless one more preemption is allowed.
    if (world.busy(current) && preemptions >= most_preemptions_) {
      std::erase_if(able, [current](World::Actor who) {
        return who != current && (who == World::guard || who == World::resume);
      });
    }
    if (!alone && turns >= most_turns && !world.busy(World::guard)) {
      std::erase(able, World::guard);
    }
    const auto own = std::find(able.begin(), able.end(), current);
    if (own != able.end()) std::iter_swap(able.begin(), own);
    return able;
  }

  bool next_path() {
    while (!path_.empty() && ++path_.back().index == path_.back().among.size()) path_.pop_back();
    return !path_.empty();
  }

  int most_preemptions_;
  std::vector<Choice> path_;
};

struct Case {
  const char* version;
  bool variables;
  From from;
  Trouble trouble;
};

class Interleavings : public testing::TestWithParam<Case> {};

/// What nobody would end any more is the worst that can be; what a resume has told as done and is
/// held again until the deadline comes next.
TEST_P(Interleavings, OfAResumeAndAReloadLeaveNothingHeld) {
  const Case& one = GetParam();
  // Trouble at any moment is one more disturbance.
  Explorer explorer(one.trouble == Trouble::none ? 2 : 1);
  const auto courses =
      explorer.run([&] { return World(one.version, one.variables, one.from, one.trouble); },
                   [](const World& world) {
                     if (world.over()) {
                       ASSERT_FALSE(world.held()) << "for ever: " << world.story();
                     }
                     if (world.since_done() && *world.since_done() > soon) {
                       ASSERT_FALSE(world.held()) << "although done: " << world.story();
                     }
                   });
  EXPECT_GT(courses, 100U);
  RecordProperty("courses", static_cast<int>(courses));
}

INSTANTIATE_TEST_SUITE_P(Of, Interleavings,
                         testing::Values(Case{"3.0.11", true, From::here, Trouble::none},
                                         Case{"3.0.11", true, From::elsewhere, Trouble::none},
                                         Case{"2.4.9", true, From::here, Trouble::none},
                                         Case{"2.2.9", false, From::here, Trouble::none},
                                         Case{"3.0.11", true, From::here, Trouble::resume_dies},
                                         Case{"3.0.11", true, From::here, Trouble::guard_dies},
                                         Case{"3.0.11", true, From::here, Trouble::answer_lost}));

}  // namespace
}  // namespace stillgate::hold
