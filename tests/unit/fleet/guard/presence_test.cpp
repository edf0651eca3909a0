// Guards are counted by what ends with their processes.
#include "fleet/guard/presence.hpp"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

class PresenceTest : public testing::Test {
 protected:
  PresenceTest() {
    std::string name = "/tmp/stillgate-guards-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~PresenceTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(PresenceTest, GuardsAreCountedByTheirHold) {
  auto first = show_guard(folder_, "a1");
  const auto second = show_guard(folder_, "a1");
  const auto other = show_guard(folder_, "b2");
  ASSERT_TRUE(first && second && other);
  EXPECT_EQ(count_guards(folder_, "a1"), 2);
  EXPECT_EQ(count_guards(folder_, "b2"), 1);
  EXPECT_EQ(count_guards(folder_, "c3"), 0);
  first.reset();
  EXPECT_EQ(count_guards(folder_, "a1"), 1);
}

TEST_F(PresenceTest, OneThatIsKilledIsAGuardNoMore) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto shown = show_guard(folder_, "a1");
    ::_exit(shown && count_guards(folder_, "a1") == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(count_guards(folder_, "a1"), 0);
}

TEST_F(PresenceTest, NothingIsKnownWhereNobodyEverWas) {
  EXPECT_FALSE(count_guards(folder_, "a1"));
  EXPECT_FALSE(count_guards(folder_ / "gone", "a1"));
  std::filesystem::create_directory(folder_ / "guards");
  EXPECT_FALSE(show_guard(folder_, "a1"));
  EXPECT_FALSE(count_guards(folder_, "a1"));
}

}  // namespace
}  // namespace stillgate::fleet
