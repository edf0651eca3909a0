// What an HAProxy stores of a lock, as others may have written it.
#include "hold/record/lock_variables.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

runtime_api::Reply stored(const std::string& value) {
  return {"proc.x: type=str value=<" + value + ">", std::nullopt};
}

/// An id becomes part of the name of the next variable.
TEST(LockVariables, AnIdThatNoHoldCouldHaveIsNone) {
  ASSERT_TRUE(read_lock(stored("7d.0."), "unix:///a", "f"));
  ASSERT_TRUE(read_ended(stored("7d.resumed.5")));
  for (const std::string& id : {std::string(1000, 'a'), std::string("a,b)"), std::string("a b"),
                                std::string("../x"), std::string()}) {
    EXPECT_FALSE(read_lock(stored(id + ".0."), "unix:///a", "f")) << id;
    EXPECT_FALSE(read_ended(stored(id + ".resumed.5"))) << id;
  }
}

/// What HAProxy runs; that it compares so was measured (docs/haproxy-facts.md, section 3).
TEST(LockVariables, OneIsTakenOnlyBehindTheOneBeforeIt) {
  const auto commands = follow_behind({"a", "0"}, {"b-c", "old-1"}, "new-1", "new-1.5.rec");
  ASSERT_TRUE(commands);
  ASSERT_EQ(commands->size(), 2U);
  EXPECT_EQ((*commands)[1].text(),
            "set var proc.stillgate_next_b_2dc_old_2d1,ifnotset,ifnotempty "
            "var(proc.stillgate_next_a_0),field(1,.),strcmp(proc.stillgate_turn_new_2d1),not,"
            "iif(new-1.5.rec,)");
  EXPECT_EQ(name_follower("new-1")[1].text(),
            "set var proc.stillgate_turn_new_2d1,ifnotset str(new-1)");
  EXPECT_FALSE(follow_behind({"a", "0"}, {"b", "0"}, "id", std::string(16'000, 'x')));
}

/// A mark at a lock that it never had would hide that the last holder's has ended.
TEST(LockVariables, OneThatMayNotBeTakenIsMarkedOnlyIfItIs) {
  const auto commands =
      mark_ended_if_taken({"b", "old"}, "new", How::rolled_back, WallTime(std::chrono::seconds(1)));
  EXPECT_EQ(commands.back().text(),
            "set var proc.stillgate_ended_b,ifnotempty var(proc.stillgate_next_b_old),field(1,.),"
            "strcmp(proc.stillgate_turn_new),not,iif(new.rolled_back.1000,)");
}

}  // namespace
}  // namespace stillgate::hold
