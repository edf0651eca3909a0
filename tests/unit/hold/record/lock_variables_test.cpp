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

}  // namespace
}  // namespace stillgate::hold
