// The names of the error codes: all there, all different, in the order of the enumeration.
#include <set>
#include <string_view>

#include <gtest/gtest.h>

#include <stillgate/error.hpp>

namespace stillgate {
namespace {

TEST(Errc, NamesAreThereAndDiffer) {
  std::set<std::string_view> names;
  for (const Errc code : all_errors()) {
    EXPECT_NE(name(code), "unnamed");
    EXPECT_TRUE(names.insert(name(code)).second) << name(code);
  }
  // The table follows the enumeration: the last code's number is the table's last place.
  EXPECT_EQ(static_cast<std::size_t>(Errc::still_held) + 1, all_errors().size());
  for (std::size_t i = 0; i < all_errors().size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(all_errors()[i]), i);
  }
  EXPECT_EQ(name(static_cast<Errc>(9999)), "unnamed");
}

}  // namespace
}  // namespace stillgate
