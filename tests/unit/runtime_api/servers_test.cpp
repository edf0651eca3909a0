// What HAProxy reports of servers and maps, as 2.2 to 3.2 write it.
#include "runtime_api/servers.hpp"

#include <string>

#include <gmock/gmock.h>

#include "runtime_api/command.hpp"

namespace stillgate::runtime_api {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr const char* header =
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
    "srv_iweight srv_time_since_last_change srv_check_state\n";

TEST(Servers, StatesAreThoseThatSetServerHasSet) {
  // Configured `disabled`; so, and made ready; drained while down; forced into maintenance; one
  // that follows another in maintenance.
  const auto backends = parse_server_states(std::string(header) +
                                            "3 b 1 s1 127.0.0.1 0 5 1 1 0 6\n"
                                            "3 b 2 s2 127.0.0.1 2 4 1 1 0 0\n"
                                            "3 b 3 s.3-x 127.0.0.1 0 8 50 50 0 6\n"
                                            "4 c 1 s1 127.0.0.1 0 1 0 1 0 14\n"
                                            "4 c 2 s2 127.0.0.1 0 2 1 1 0 0\n");
  ASSERT_TRUE(backends);
  EXPECT_EQ(backends->at("b").at("s1").state, "maint");
  EXPECT_EQ(backends->at("b").at("s2").state, "ready");
  EXPECT_TRUE(backends->at("b").at("s2").running);
  EXPECT_EQ(backends->at("b").at("s.3-x").state, "drain");
  EXPECT_EQ(backends->at("b").at("s.3-x").weight, 50);
  EXPECT_EQ(backends->at("c").at("s1").state, "maint");
  EXPECT_EQ(backends->at("c").at("s2").state, "ready");
  EXPECT_TRUE(backends->at("c").at("s2").follows);
  EXPECT_TRUE(backends->at("b").at("s1").checked);
  EXPECT_FALSE(backends->at("b").at("s2").checked);
  EXPECT_TRUE(backends->at("c").at("s1").checked) << "its check rests";
}

TEST(Servers, AnotherFormatIsMalformed) {
  for (const std::string text :
       {"", "2\n", "1\n# be_name srv_name\n", "1\n", "1\nbe_name\n",
        "1\n# be_name srv_name srv_op_state srv_admin_state srv_uweight srv_check_state\nb s 2\n",
        "1\n# be_name srv_name srv_op_state srv_admin_state srv_uweight srv_check_state\nb s x 0 1 "
        "6\n"}) {
    const auto read = parse_server_states(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Errc::malformed_reply);
  }
}

TEST(Servers, MapsAndTheirEntries) {
  EXPECT_THAT(parse_maps("# id (file) description\n0 (/etc/r.map) pattern loaded from file "
                         "'/etc/r.map' used by map at file 'cfg' line 12\n1 () acl\n"),
              ElementsAre("/etc/r.map", ""));
  const auto entries =
      parse_map("0x55d8 active blue\n0x55d9 other x y\n0x55da bare\n0x55db bare 2");
  ASSERT_TRUE(entries);
  EXPECT_THAT(*entries,
              ElementsAre(Pair("active", "blue"), Pair("bare", ""), Pair("other", "x y")));
  EXPECT_FALSE(parse_map("Unknown"));
}

TEST(Servers, CommandsAreOneLineOrNone) {
  EXPECT_EQ(Command::set_server_state("b.1/s-2", "ready")->wire(),
            "set server b.1/s-2 state ready\n");
  EXPECT_EQ(Command::set_server_weight("b/s", 256)->wire(), "set server b/s weight 256\n");
  EXPECT_EQ(Command::set_map("/r.map", "k", "two words")->wire(), "set map /r.map k two\\ words\n");
  for (const char* name : {"", "b", "b/", "/s", "b/s x", "b/s\n", "b/s;x"}) {
    const auto wrong = Command::set_server_state(name, "ready");
    ASSERT_FALSE(wrong) << name;
    EXPECT_EQ(wrong.error().field, "servers");
  }
  EXPECT_EQ(Command::set_server_state("b/s", "up").error().code, Errc::bad_option);
  EXPECT_EQ(Command::set_server_weight("b/s", 257).error().field, "weights");
  EXPECT_FALSE(Command::set_server_weight("b/s", -1));
  for (const char* text : {"", "a;b", "a\\", "a\nb", "a<<b", "\"a", "'a", "\xc3\xa4"}) {
    EXPECT_FALSE(Command::set_map("/r.map", text, "v")) << text;
    EXPECT_FALSE(Command::set_map("/r.map", "k", text)) << text;
    EXPECT_FALSE(Command::show_map(text)) << text;
  }
  EXPECT_FALSE(Command::set_map("/r.map", "k k", "v"));
  EXPECT_FALSE(Command::set_map("/r.map", "k", " v"));
}

}  // namespace
}  // namespace stillgate::runtime_api
