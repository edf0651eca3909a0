// The orders of the commands of suspends, resumes, extends, guards and a reload at one HAProxy.
#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fakes/shared_haproxy.hpp"

namespace stillgate::hold {
namespace {

using Actor = SharedHAProxy::Actor;

/// How many orders of a meeting are tried.
struct Bounds {
  int preemptions;  ///< somebody else acts in the middle of a step
  int switches;     ///< or between two steps of a call that is not done
};

/// Goes through all orders within the bounds. Few preemptions are enough for every race of two.
class Explorer {
 public:
  /// Where nobody else does anything, a guard surveys at most so often before they go on.
  static constexpr int most_turns = 2;

  explicit Explorer(Bounds bounds) : bounds_(bounds) {}

  /// Returns how many.
  std::size_t run(const Meeting& meeting) {
    std::size_t courses = 0;
    do {
      SharedHAProxy world(meeting);
      course(world);
      ++courses;
    } while (!testing::Test::HasFailure() && next_path());
    return courses;
  }

 private:
  struct Choice {
    std::vector<Actor> among;
    std::size_t index{0};
  };
  /// The course so far.
  struct State {
    Actor current{0};
    int preemptions{0};
    int switches{0};
    int turns{0};
  };

  void course(SharedHAProxy& world) {
    std::size_t depth = 0;
    State state;
    for (int acts = 0; !world.over(); ++acts) {
      ASSERT_LT(acts, 100'000) << world.story();
      auto among = candidates(world, state);
      ASSERT_FALSE(among.empty()) << world.story();
      if (among.size() > 1) {
        if (depth == path_.size()) path_.push_back({among});
        among.assign(1, path_[depth].among[path_[depth].index]);
        ++depth;
      }
      note(world, state, among[0]);
      world.act(among[0]);
      const auto wrong = world.wrong();
      ASSERT_FALSE(wrong) << *wrong << ": " << world.story();
    }
  }

  static bool is_event(Actor who) { return who >= SharedHAProxy::reload; }

  static bool is_switch(const SharedHAProxy& world, const State& state) {
    return SharedHAProxy::is_call(state.current) && !world.over(state.current);
  }

  static void note(const SharedHAProxy& world, State& state, Actor who) {
    if (is_event(who)) return;
    if (who != state.current && world.busy(state.current)) {
      ++state.preemptions;
    } else if (who != state.current && is_switch(world, state)) {
      ++state.switches;
    }
    if (SharedHAProxy::is_guard(who) && !world.busy(who)) ++state.turns;
    if (SharedHAProxy::is_call(who)) state.turns = 0;
    state.current = who;
  }

  [[nodiscard]] std::vector<Actor> candidates(const SharedHAProxy& world,
                                              const State& state) const {
    auto able = world.able();
    const Actor current = state.current;
    if (world.busy(current) && std::ranges::find(able, current) != able.end()) {
      std::erase_if(able, [&](Actor who) { return !world.may_come_between(who); });
    }
    const auto own = std::find(able.begin(), able.end(), current);
    if (own != able.end()) {
      std::iter_swap(able.begin(), own);
      const bool busy = world.busy(current);
      const bool bound = busy ? state.preemptions >= bounds_.preemptions
                              : is_switch(world, state) && state.switches >= bounds_.switches;
      if (bound) {
        std::erase_if(able, [&](Actor who) { return who != current && !is_event(who); });
      }
    }
    const bool others = std::any_of(able.begin(), able.end(),
                                    [](Actor who) { return !SharedHAProxy::is_guard(who); });
    if (others && state.turns >= most_turns) {
      std::erase_if(able,
                    [&](Actor who) { return SharedHAProxy::is_guard(who) && !world.busy(who); });
    }
    return able;
  }

  bool next_path() {
    while (!path_.empty() && ++path_.back().index == path_.back().among.size()) path_.pop_back();
    return !path_.empty();
  }

  Bounds bounds_;
  std::vector<Choice> path_;
};

struct Case {
  const char* name;
  Meeting meeting;
  Bounds bounds;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Interleavings : public testing::TestWithParam<Case> {};

/// What nobody would end any more is the worst that can be; what was told as held and is open, or
/// as over and is held, comes next.
TEST_P(Interleavings, LeaveNothingHeldAndOpenNothingEarly) {
  const auto courses = Explorer(GetParam().bounds).run(GetParam().meeting);
  EXPECT_GT(courses, 2U);
  RecordProperty("courses", static_cast<int>(courses));
}

constexpr CallMade suspend{Verb::suspend};
constexpr CallMade suspend_elsewhere{Verb::suspend, 1};
constexpr CallMade resume{Verb::resume};
constexpr CallMade force_elsewhere{Verb::resume, 1, true};
constexpr CallMade extend{Verb::extend};
constexpr CallMade extend_elsewhere{Verb::extend, 1, true};
constexpr Bounds some{1, 1};
constexpr Bounds few{0, 1};
constexpr Bounds more{2, 2};
constexpr Bounds none_but_events{0, 0};

std::vector<Case> cases() {
  using enum Trouble;
  return {
      {"resume_and_reload", {"3.0.11", true, true, {resume}, true}, some},
      {"resume_elsewhere_and_reload", {"3.0.11", true, true, {force_elsewhere}, true}, some},
      {"resume_and_reload_without_compare", {"2.4.9", true, true, {resume}, true}, some},
      {"resume_and_reload_without_variables", {"2.2.9", false, true, {resume}, true}, some},
      {"resume_dies_and_reload", {"3.0.11", true, true, {resume}, true, false, call_dies}, few},
      {"resume_answer_lost_and_reload",
       {"3.0.11", true, true, {resume}, true, false, call_loses_answer},
       few},
      {"resume_elsewhere_answer_lost_and_reload",
       {"3.0.11", true, true, {force_elsewhere}, true, false, call_loses_answer},
       few},
      {"resume_guard_dies_and_reload",
       {"3.0.11", true, true, {resume}, true, false, guard_dies},
       few},
      {"resume_guard_answer_lost_and_reload",
       {"3.0.11", true, true, {resume}, true, false, guard_loses_answer},
       few},
      {"suspend_and_reload", {"2.8.14", true, false, {suspend}, true}, some},
      {"suspend_answer_lost",
       {"2.8.14", true, false, {suspend}, false, false, call_loses_answer},
       some},
      {"suspend_commands_lost",
       {"2.8.14", true, false, {suspend}, false, false, commands_get_lost},
       some},
      {"suspend_commands_late",
       {"2.8.14", true, false, {suspend}, false, false, commands_come_late},
       few},
      {"suspend_dies", {"2.8.14", true, false, {suspend}, false, false, call_dies}, some},
      {"suspend_and_expiry", {"2.8.14", true, false, {suspend}, false, true}, some},
      {"two_suspends", {"2.8.14", true, false, {suspend, suspend_elsewhere}}, some},
      {"suspend_and_resume_elsewhere", {"2.8.14", true, false, {suspend, force_elsewhere}}, some},
      {"suspend_and_resume", {"2.8.14", true, false, {suspend, resume}}, some},
      {"suspend_after_expiry", {"2.8.14", true, true, {suspend_elsewhere}, false, true}, some},
      {"suspend_after_resume", {"2.8.14", true, true, {suspend_elsewhere, resume}}, some},
      {"extend_and_expiry", {"2.8.14", true, true, {extend}, false, true}, some},
      {"extend_and_expiry_answer_lost",
       {"2.8.14", true, true, {extend}, false, true, call_loses_answer},
       none_but_events},
      {"extend_and_expiry_commands_late",
       {"2.8.14", true, true, {extend}, false, true, commands_come_late},
       none_but_events},
      {"extend_and_expiry_without_variables", {"2.2.9", false, true, {extend}, false, true}, some},
      {"extend_and_reload", {"2.8.14", true, true, {extend}, true}, some},
      {"extend_and_resume", {"2.8.14", true, true, {extend, resume}}, some},
      {"extend_elsewhere_and_resume", {"2.8.14", true, true, {extend_elsewhere, resume}}, some},
      {"extend_resume_expiry",
       {"2.8.14", true, true, {extend, resume}, false, true},
       none_but_events},
      {"resume_expiry", {"2.8.14", true, true, {resume}, false, true}, some},
      // A release waits behind the guard.
      {"wait_resume_and_reload",
       {.version = "3.0.11", .calls = {resume}, .reloads = true, .waits = true},
       some},
      {"wait_extend_and_expiry",
       {.version = "3.0.11", .calls = {extend}, .expires = true, .waits = true},
       few},
      {"wait_extend_and_expiry_guard_dies",
       {.version = "3.0.11",
        .calls = {extend},
        .expires = true,
        .trouble = guard_dies,
        .waits = true},
       none_but_events},
      {"wait_guard_freezes_and_expiry",
       {.version = "3.0.11",
        .calls = {suspend_elsewhere},
        .expires = true,
        .trouble = guard_freezes,
        .waits = true},
       none_but_events},
      {"wait_guard_freezes_and_forced",
       {.version = "3.0.11", .calls = {force_elsewhere}, .trouble = guard_freezes, .waits = true},
       none_but_events},
      {"wait_suspend_behind_resume",
       {.version = "3.0.11", .calls = {suspend_elsewhere, resume}, .waits = true},
       few},
      {"wait_suspend_dies",
       {.version = "3.0.11",
        .held = false,
        .calls = {suspend},
        .trouble = call_dies,
        .waits = true},
       few},
      {"wait_suspend_and_expiry",
       {.version = "3.0.11", .held = false, .calls = {suspend}, .expires = true, .waits = true},
       few},
      // By the gate.
      {"gate_suspend_resume",
       {.version = "3.0.11", .held = false, .calls = {suspend, force_elsewhere}, .gated = true},
       more},
      {"gate_two_suspends",
       {.version = "3.0.11", .held = false, .calls = {suspend, suspend_elsewhere}, .gated = true},
       more},
      {"gate_two_suspends_by_its_lock",
       {.version = "2.4.9", .held = false, .calls = {suspend, suspend_elsewhere}, .gated = true},
       more},
      {"gate_two_suspends_by_its_lock_in_a_table",
       {.version = "2.2.9",
        .variables = false,
        .held = false,
        .calls = {suspend, suspend_elsewhere},
        .gated = true},
       more},
      {"gate_two_suspends_and_reload",
       {.version = "3.0.11",
        .held = false,
        .calls = {suspend, suspend_elsewhere},
        .reloads = true,
        .gated = true},
       some},
      {"gate_two_suspends_by_its_lock_and_reload",
       {.version = "2.4.9",
        .held = false,
        .calls = {suspend, suspend_elsewhere},
        .reloads = true,
        .gated = true},
       some},
      {"gate_two_suspends_by_its_lock_in_a_table_and_reload",
       {.version = "2.2.9",
        .variables = false,
        .held = false,
        .calls = {suspend, suspend_elsewhere},
        .reloads = true,
        .gated = true},
       some},
      {"gate_suspend_answer_lost",
       {.version = "3.0.11",
        .held = false,
        .calls = {suspend},
        .trouble = call_loses_answer,
        .gated = true},
       more},
      {"gate_suspend_commands_lost",
       {.version = "3.0.11",
        .held = false,
        .calls = {suspend},
        .trouble = commands_get_lost,
        .gated = true},
       more},
      {"gate_suspend_commands_late",
       {.version = "3.0.11",
        .held = false,
        .calls = {suspend},
        .trouble = commands_come_late,
        .gated = true},
       more},
      {"gate_suspend_commands_late_in_a_table",
       {.version = "2.2.9",
        .variables = false,
        .held = false,
        .calls = {suspend},
        .trouble = commands_come_late,
        .gated = true},
       more},
      {"gate_suspend_dies",
       {.version = "3.0.11",
        .held = false,
        .calls = {suspend, suspend_elsewhere},
        .trouble = call_dies,
        .gated = true},
       few},
      {"gate_suspend_and_expiry",
       {.version = "3.0.11", .held = false, .calls = {suspend}, .expires = true, .gated = true},
       more},
      {"gate_suspend_after_expiry",
       {.version = "3.0.11", .calls = {suspend_elsewhere}, .expires = true, .gated = true},
       few},
      {"gate_suspend_after_resume",
       {.version = "3.0.11", .calls = {suspend_elsewhere, resume}, .gated = true},
       more},
      {"gate_suspend_after_resume_commands_late",
       {.version = "3.0.11",
        .calls = {resume, suspend_elsewhere},
        .trouble = commands_come_late,
        .gated = true},
       few},
      {"gate_resume_expiry_suspend",
       {.version = "3.0.11", .calls = {resume, suspend_elsewhere}, .expires = true, .gated = true},
       few},
      {"gate_resume_and_reload",
       {.version = "3.0.11", .calls = {resume}, .reloads = true, .gated = true},
       more},
      {"gate_resume_and_reload_in_a_table",
       {.version = "2.2.9", .variables = false, .calls = {resume}, .reloads = true, .gated = true},
       more},
      {"gate_resume_loses_answer",
       {.version = "3.0.11",
        .calls = {resume, suspend_elsewhere},
        .trouble = call_loses_answer,
        .gated = true},
       few},
      {"gate_forced_and_resume",
       {.version = "3.0.11", .calls = {force_elsewhere, resume, suspend_elsewhere}, .gated = true},
       few},
      {"gate_extend_and_expiry",
       {.version = "3.0.11", .calls = {extend}, .expires = true, .gated = true},
       more},
      {"gate_extend_and_expiry_commands_late",
       {.version = "3.0.11",
        .calls = {extend},
        .expires = true,
        .trouble = commands_come_late,
        .gated = true},
       more},
      {"gate_extend_and_resume",
       {.version = "3.0.11", .calls = {extend, resume}, .gated = true},
       more},
      {"gate_extend_and_resume_in_a_table",
       {.version = "2.2.9", .variables = false, .calls = {extend, resume}, .gated = true},
       more},
      {"gate_extend_and_reload",
       {.version = "3.0.11", .calls = {extend}, .reloads = true, .gated = true},
       more},
      {"gate_extend_and_reload_in_a_table",
       {.version = "2.2.9", .variables = false, .calls = {extend}, .reloads = true, .gated = true},
       more},
      {"gate_rejects_behind_its_deadline",
       {.version = "3.0.11",
        .calls = {suspend_elsewhere, resume},
        .expires = true,
        .gated = true,
        .rejects = true},
       few},
  };
}

INSTANTIATE_TEST_SUITE_P(Of, Interleavings, testing::ValuesIn(cases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace stillgate::hold
