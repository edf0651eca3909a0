// Who belongs to a command, by the parents of all processes.
#include "leash/family.hpp"

#include <gmock/gmock.h>

namespace stillgate::leash {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(Family, HasChildrenAndTheirChildrenInWhateverOrder) {
  EXPECT_THAT(below({{30, 20, false}, {20, 10, false}, {10, 1, false}, {40, 1, false}}, 10),
              UnorderedElementsAre(20, 30));
}

TEST(Family, IsFoundBehindTheDead) {
  EXPECT_THAT(below({{20, 10, true}, {30, 20, false}}, 10), UnorderedElementsAre(30));
}

TEST(Family, OfNobodyIsEmpty) { EXPECT_THAT(below({{20, 1, false}}, 10), IsEmpty()); }

TEST(Family, EndsWhereItsParentsAreTornWhileTheyAreRead) {
  EXPECT_THAT(below({{20, 30, false}, {30, 20, false}, {10, 10, false}}, 10), IsEmpty());
}

}  // namespace
}  // namespace stillgate::leash
