// Endpoint URLs: what is accepted, the canonical form, what is refused.
#include <string>

#include <gtest/gtest.h>

#include <stillgate/endpoint.hpp>

namespace stillgate {
namespace {

TEST(Endpoint, UnixInBothForms) {
  for (const char* text : {"unix:///run/haproxy/admin.sock", "/run/haproxy/admin.sock"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->kind(), Endpoint::Kind::unix_socket);
    EXPECT_EQ(endpoint->path(), "/run/haproxy/admin.sock");
    EXPECT_EQ(endpoint->url(), "unix:///run/haproxy/admin.sock");
  }
}

TEST(Endpoint, TcpNamesAddressesAndCase) {
  const auto name = Endpoint::parse("tcp://LB-1.example:9999");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->host(), "lb-1.example");
  EXPECT_EQ(name->port(), 9999);
  EXPECT_EQ(name->url(), "tcp://lb-1.example:9999");
  const auto six = Endpoint::parse("tcp://[::1]:1");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host(), "::1");
  EXPECT_EQ(six->url(), "tcp://[::1]:1");
}

TEST(Endpoint, TheLongestPathThatASocketCanHave) {
  const std::string longest(Endpoint::max_path - 1, 'a');
  EXPECT_TRUE(Endpoint::parse("/" + longest));
  EXPECT_FALSE(Endpoint::parse("/a" + longest));
}

class WrongEndpoint : public testing::TestWithParam<std::string> {};

TEST_P(WrongEndpoint, IsRefusedWithTheFieldNamed) {
  const auto endpoint = Endpoint::parse(GetParam());
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().code, Errc::bad_endpoint);
  EXPECT_EQ(endpoint.error().field, "endpoint");
  EXPECT_FALSE(endpoint.error().message.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongEndpoint,
    testing::Values("", " ", "run/a.sock", "unix://run/a.sock", "unix://", "/", "/a/", "/a b",
                    "/a\nb", "/a\x7f", "tcp://", "tcp://a", "tcp://a:", "tcp://:1", "tcp://a:0",
                    "tcp://a:65536", "tcp://a:-1", "tcp://a:+1", "tcp://a:1x", "tcp://a:1:2",
                    "tcp://[::1]", "tcp://[::1]1", "tcp://[]:1", "tcp://[::1:1", "tcp://[g]:1",
                    "tcp://[f%80]:1", "tcp://[127.0.0.1]:1", "tcp://a_b!:1", "ssh://lb1/run/a.sock",
                    "http://a:1", "TCP://a:1", std::string("/a\0b", 4)));

}  // namespace
}  // namespace stillgate
