// How many log in to one server at once, and who is next.
#include "transport/ssh/base/turns.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace stillgate::transport::ssh {
namespace {

using testing::ElementsAre;

class TurnsTest : public testing::Test {
 protected:
  void take(const std::string& server, int number) {
    turns_.take(server, [this, number] { begun_.push_back(number); });
  }

  Turns turns_;
  std::vector<int> begun_;
};

TEST_F(TurnsTest, EightBeginAndTheNinthWaits) {
  for (int number = 0; number < 9; ++number) take("a", number);
  EXPECT_THAT(begun_, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  turns_.leave("a");
  EXPECT_EQ(begun_.back(), 8);
}

TEST_F(TurnsTest, ServersDoNotWaitForEachOther) {
  for (int number = 0; number < 9; ++number) take("a", number);
  take("b", 100);
  EXPECT_EQ(begun_.back(), 100);
}

TEST_F(TurnsTest, AServerThatRefusedOneTakesFewer) {
  for (int number = 0; number < 5; ++number) take("a", number);
  turns_.refused("a");  // four at once from now on
  take("a", 5);
  EXPECT_EQ(begun_.size(), 5U);
  turns_.leave("a");  // the refused one's
  EXPECT_EQ(begun_.size(), 5U);
  turns_.leave("a");
  EXPECT_EQ(begun_.back(), 5);
}

TEST_F(TurnsTest, OneAtLeastIsTaken) {
  take("a", 0);
  turns_.refused("a");
  turns_.leave("a");
  take("a", 1);
  EXPECT_THAT(begun_, ElementsAre(0, 1));
  take("a", 2);
  EXPECT_EQ(begun_.size(), 2U);
  turns_.leave("a");
  EXPECT_EQ(begun_.back(), 2);
}

}  // namespace
}  // namespace stillgate::transport::ssh
