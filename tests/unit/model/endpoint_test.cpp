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

TEST(Endpoint, MayHaveAShortName) {
  const auto named = Endpoint::parse("lb-1=tcp://lb1.example:9999");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name(), "lb-1");
  EXPECT_EQ(named->url(), "tcp://lb1.example:9999");
  const auto plain = Endpoint::parse("/run/a=b.sock");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name(), "");
  EXPECT_EQ(plain->path(), "/run/a=b.sock");
  for (const char* wrong : {"=/run/a.sock", "a,b=/run/a.sock", "lb1="}) {
    EXPECT_FALSE(Endpoint::parse(wrong)) << wrong;
  }
  EXPECT_FALSE(Endpoint::parse(std::string(Endpoint::max_name + 1, 'a') + "=/run/a.sock"));
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

TEST(Endpoint, SshNamesItsServerAndItsSocket) {
  const auto endpoint = Endpoint::parse("ssh://deploy@LB1:2222/run/haproxy/admin.sock");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->kind(), Endpoint::Kind::ssh);
  EXPECT_EQ(endpoint->server(), (SshHop{"deploy", "lb1", 2222}));
  EXPECT_EQ(endpoint->path(), "/run/haproxy/admin.sock");
  EXPECT_EQ(endpoint->url(), "ssh://deploy@lb1:2222/run/haproxy/admin.sock");
  const auto bare = Endpoint::parse("ssh://[::1]/a");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->server(), (SshHop{std::nullopt, "::1", std::nullopt}));
  EXPECT_EQ(bare->url(), "ssh://[::1]/a");
}

TEST(Endpoint, SshSaysInItsQueryHowToGetThere) {
  const auto endpoint = Endpoint::parse(
      "ssh://h/?auth=password&jump=a,u@b:23&identity=/k%201&identity=/k2&config=none&tcp=[::1]:99");
  ASSERT_TRUE(endpoint);
  const SshAccess& access = endpoint->access();
  EXPECT_EQ(access.tcp_host, "::1");
  EXPECT_EQ(access.tcp_port, 99);
  EXPECT_EQ(access.identities, (std::vector<std::string>{"/k 1", "/k2"}));
  EXPECT_EQ(access.jumps, (std::vector<SshHop>{{std::nullopt, "a", std::nullopt}, {"u", "b", 23}}));
  EXPECT_EQ(access.config, "none");
  EXPECT_EQ(access.asked, SshAccess::Asked::password);
  EXPECT_EQ(endpoint->url(),
            "ssh://h?tcp=[::1]:99&identity=/k%201&identity=/k2&jump=a,u@b:23&config=none&"
            "auth=password");
}

TEST(Endpoint, APasswordInAUrlIsNotRepeated) {
  const auto endpoint = Endpoint::parse("ssh://u:secret@h/a");
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().message.find("secret"), std::string::npos);
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
                    "tcp://[f%80]:1", "tcp://[127.0.0.1]:1", "tcp://a_b!:1", "tcp://-a:1", "ssh://",
                    "ssh:///run/a", "ssh://h", "ssh://h/", "ssh://@h/a", "ssh://-u@h/a",
                    "ssh://-h/a", "ssh://h:0/a", "ssh://h:x/a", "ssh://h/a/", "ssh://h/a?x=1",
                    "ssh://h/a?tcp=l:1", "ssh://h?tcp=l", "ssh://h/a?jump=", "ssh://h/a?jump=a,",
                    "ssh://h/a?identity=k", "ssh://h/a?auth=none", "ssh://h/a?identity=/%0a",
                    "ssh://h/a?config=x", "ssh://h/a?config=/c&config=/d", "ssh://h/a?identity=/%4",
                    "ssh://u:secret@h/a", "http://a:1", "TCP://a:1", std::string("/a\0b", 4)));

class SecretOfAnEndpoint : public testing::TestWithParam<std::string> {};

TEST_P(SecretOfAnEndpoint, IsNotRepeated) {
  const auto endpoint = Endpoint::parse(GetParam());
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().message.find("geheim"), std::string::npos) << endpoint.error().message;
}

INSTANTIATE_TEST_SUITE_P(All, SecretOfAnEndpoint,
                         testing::Values("ssh://bob:geheim@h/a", "tcp://bob:geheim@lb1:99",
                                         "https://bob:geheim@lb1:99/a", "bob:geheim@lb1:99",
                                         "ssh://h/a?password=geheim",
                                         "ssh://h/a?auth=x&pass=geheim",
                                         "ssh://h/a?password=geheim&passphrase=geheim",
                                         "http://u:a:geheim@h?pass=geheim"));

TEST(Endpoint, ShowsWhatIsNoSecret) {
  const auto endpoint = Endpoint::parse("tcp://bob:geheim@lb1:99");
  ASSERT_FALSE(endpoint);
  EXPECT_NE(endpoint.error().message.find("'tcp://bob:***@lb1:99'"), std::string::npos);
  const auto path = Endpoint::parse("ssh://h?identity=a:b@c");
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find("'ssh://h?identity=a:b@c'"), std::string::npos);
}

}  // namespace
}  // namespace stillgate
