// Times as messages show them.
#include "hold/record/lookup.hpp"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

#include <gtest/gtest.h>

namespace stillgate::hold {
namespace {

class LookupTest : public testing::Test {
 protected:
  LookupTest() { set("XYZ-14:30"); }
  ~LookupTest() override { set(before_.c_str()); }

 private:
  static void set(const char* zone) {
    if (*zone == '\0') {
      ::unsetenv("TZ");
    } else {
      ::setenv("TZ", zone, 1);
    }
    ::tzset();
  }
  const std::string before_{std::getenv("TZ") != nullptr ? std::getenv("TZ") : ""};
};

TEST_F(LookupTest, TimesAreInTheLocalZoneWithTheZone) {
  const WallTime at{std::chrono::hours(10)};
  EXPECT_EQ(clock(at), "00:30:00 XYZ");
  // Where it is the next day already.
  EXPECT_EQ(day_and_clock(at), "1970-01-02 00:30:00 XYZ");
}

}  // namespace
}  // namespace stillgate::hold
