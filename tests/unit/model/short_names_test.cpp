// What endpoints are called, where nobody has named them.
#include "model/short_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stillgate {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> of_urls(const std::vector<std::string_view>& urls) {
  std::vector<Nameable> endpoints;
  for (const auto url : urls) endpoints.push_back({url, {}, {}});
  return short_names(endpoints);
}

TEST(ShortNames, TheGivenOneComesFirstThenTheNode) {
  EXPECT_THAT(
      short_names({{"tcp://10.0.0.1:9999", "left", "lb1"}, {"tcp://10.0.0.2:9999", {}, "lb2"}}),
      ElementsAre("left", "lb2"));
}

TEST(ShortNames, ANodeThatSeveralHaveNamesNone) {
  EXPECT_THAT(short_names({{"unix:///run/a.sock", {}, "vm"}, {"unix:///run/b.sock", {}, "vm"}}),
              ElementsAre("a", "b"));
}

TEST(ShortNames, ANodeThatIsCalledLikeAnothersGivenNameNamesNone) {
  EXPECT_THAT(short_names({{"tcp://x:1", "lb2", {}}, {"tcp://y:1", {}, "lb2"}}),
              ElementsAre("lb2", "y"));
}

TEST(ShortNames, TheSocketsNameElseItsFolderElseMoreOfItsPath) {
  EXPECT_THAT(of_urls({"unix:///run/haproxy/admin.sock"}), ElementsAre("admin"));
  EXPECT_THAT(of_urls({"unix:///run/lb1/admin.sock", "unix:///run/lb2/admin.sock"}),
              ElementsAre("lb1", "lb2"));
  EXPECT_THAT(of_urls({"unix:///a/b/x.sock", "unix:///b/a/x.sock"}),
              ElementsAre("b/x.sock", "a/x.sock"));
}

TEST(ShortNames, TheHostsFirstWordElseMoreOfIt) {
  EXPECT_THAT(of_urls({"tcp://lb1.example:9999", "ssh://deploy@lb2.example:22/run/admin.sock"}),
              ElementsAre("lb1", "lb2"));
  EXPECT_THAT(of_urls({"tcp://lb1.north:9999", "tcp://lb1.south:9999"}),
              ElementsAre("lb1.north", "lb1.south"));
  EXPECT_THAT(of_urls({"tcp://127.0.0.1:9001", "tcp://127.0.0.1:9002"}),
              ElementsAre("127.0.0.1:9001", "127.0.0.1:9002"));
  EXPECT_THAT(of_urls({"ssh://lb1/run/a.sock", "ssh://lb1/run/b.sock"}),
              ElementsAre("lb1:a", "lb1:b"));
  EXPECT_THAT(of_urls({"tcp://[::1]:9001", "tcp://[::1]:9002"}),
              ElementsAre("[::1]:9001", "[::1]:9002"));
}

TEST(ShortNames, ABareNumberIsNoName) {
  EXPECT_THAT(of_urls({"unix:///run/lb1/0.sock"}), ElementsAre("lb1"));
  EXPECT_THAT(of_urls({"unix:///run/lb/0.sock", "unix:///run/lb/1.sock"}),
              ElementsAre("0.sock", "1.sock"));
  EXPECT_THAT(of_urls({"unix:///run/0/admin.sock", "unix:///run/1/admin.sock"}),
              ElementsAre("0/admin.sock", "1/admin.sock"));
  EXPECT_THAT(of_urls({"tcp://0:9999"}), ElementsAre("0:9999"));
}

TEST(ShortNames, AnOperatorMayNumberThem) {
  EXPECT_THAT(short_names({{"unix:///run/a.sock", "1", {}}, {"unix:///run/b.sock", {}, "2"}}),
              ElementsAre("1", "2"));
}

TEST(ShortNames, WhatNoPartTellsApartHasItsWholeUrl) {
  EXPECT_THAT(of_urls({"ssh://lb1?tcp=127.0.0.1:1", "ssh://lb1?tcp=127.0.0.1:2"}),
              ElementsAre("ssh://lb1?tcp=127.0.0.1:1", "ssh://lb1?tcp=127.0.0.1:2"));
}

}  // namespace
}  // namespace stillgate
