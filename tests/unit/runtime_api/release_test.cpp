// Releases: what real HAProxies print, parsed and compared.
#include <gtest/gtest.h>

#include "runtime_api/release.hpp"

namespace stillgate::runtime_api {
namespace {

TEST(Release, ParsesWhatHAProxysPrint) {
  EXPECT_EQ(Release::parse("3.0.11-1+deb13u5"), (Release{3, 0, 11}));
  EXPECT_EQ(Release::parse("2.8.0-fdd8154"), (Release{2, 8, 0}));
  EXPECT_EQ(Release::parse("3.2.26"), (Release{3, 2, 26}));
  EXPECT_EQ(Release::parse("2.6.12~bpo11"), (Release{2, 6, 12}));
  EXPECT_EQ(Release::parse("3.1-dev8"), Release::dev(3, 1, 8));
  EXPECT_EQ(Release::parse("3.1-dev8-abc"), Release::dev(3, 1, 8));
}

TEST(Release, RefusesWhatItCannotCompare) {
  for (const char* text : {"", "3", "3.", "3.0", "3.0.", "3.0.x", "x.0.1", "3.0.1x", "-1.0.1",
                           "3.-1.1", "3.0.99999", "3.1-dev", "3.1-devx", "3.1-dev1000"}) {
    EXPECT_FALSE(Release::parse(text)) << text;
  }
}

TEST(Release, Order) {
  EXPECT_LT(Release::dev(3, 1, 8), Release::dev(3, 1, 9));
  EXPECT_LT(Release::dev(3, 1, 9), (Release{3, 1, 0}));
  EXPECT_LT((Release{3, 0, 99}), Release::dev(3, 1, 0));
  EXPECT_LT((Release{2, 9, 10}), (Release{2, 10, 0}));
}

}  // namespace
}  // namespace stillgate::runtime_api
