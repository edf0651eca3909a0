// Commands: what is refused, what goes over the wire.
#include <string>

#include <gtest/gtest.h>

#include "runtime_api/command.hpp"

namespace stillgate::runtime_api {
namespace {

TEST(Command, IsOneLine) {
  const auto command = Command::parse("  show info \t");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->wire(), "show info\n");
  EXPECT_EQ(command->text(), "show info");
}

TEST(Command, AnEscapedSemicolonIsPartOfTheLine) {
  const auto command = Command::parse("add map /m a\\;b");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->wire(), "add map /m a\\;b\n");
  EXPECT_FALSE(Command::parse("add map /m a\\\\;b"));  // an escaped backslash, then a bare `;`
}

class WrongCommand : public testing::TestWithParam<std::string> {};

TEST_P(WrongCommand, IsRefused) {
  const auto command = Command::parse(GetParam());
  ASSERT_FALSE(command);
  EXPECT_EQ(command.error().code, Errc::bad_command);
  EXPECT_EQ(command.error().field, "command");
}

INSTANTIATE_TEST_SUITE_P(All, WrongCommand,
                         testing::Values("", "   ", "a;b", ";", "a\nb", "a\rb", "a\x01",
                                         std::string("a\0b", 3), "a\\", "prompt", "prompt timed",
                                         "pro\\mpt", "\\quit", "\\@1 x", "quit", "q", "_getsocks",
                                         "@1 show info", "@!12 x", "set ssl cert x <<", "a << b",
                                         "show info <<EOT", std::string(Command::max_bytes, 'a')));

TEST(Command, TheLongest) { EXPECT_TRUE(Command::parse(std::string(Command::max_bytes - 1, 'a'))); }

TEST(Command, PayloadsAreClosedByAnEmptyLine) {
  for (const char* payload : {"one\ntwo", "one\ntwo\n"}) {
    const auto command = Command::parse("set ssl cert /x.pem", payload);
    ASSERT_TRUE(command);
    EXPECT_EQ(command->wire(), "set ssl cert /x.pem <<\none\ntwo\n\n");
    EXPECT_EQ(command->text(), "set ssl cert /x.pem <<");
  }
}

TEST(Command, PayloadsThatWouldEndEarly) {
  for (const std::string& payload :
       {std::string(), std::string("\n"), std::string("a\n\nb"), std::string("\na"),
        std::string("a\r\nb"), std::string("a\0b", 3), std::string(Command::max_bytes, 'a')}) {
    const auto command = Command::parse("set ssl cert /x.pem", payload);
    ASSERT_FALSE(command) << payload.substr(0, 20);
    EXPECT_EQ(command.error().code, Errc::bad_command);
  }
}

TEST(Command, SetMaxconn) {
  const auto command = Command::set_maxconn("a-b_c.d:e", 2'147'483'647);
  ASSERT_TRUE(command);
  EXPECT_EQ(command->wire(), "set maxconn frontend a-b_c.d:e 2147483647\n");
  EXPECT_TRUE(Command::set_maxconn("f", 0));
  for (const std::int64_t limit : {std::int64_t{-1}, Command::max_limit + 1, INT64_MAX}) {
    const auto wrong = Command::set_maxconn("f", limit);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::bad_number);
    EXPECT_EQ(wrong.error().field, "limit");
  }
}

TEST(Command, NamesThatWouldSmuggle) {
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a;b"), std::string("a\nb"),
        std::string("a\0b", 3), std::string("\xc3\xa4"), std::string(256, 'a')}) {
    const auto command = Command::set_maxconn(name, 1);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error().code, Errc::bad_name);
    EXPECT_EQ(command.error().field, "frontend");
  }
  EXPECT_FALSE(check_frontend_name(std::string(255, 'a')));
}

TEST(Command, TheGatesCommandsNameTheirFrontends) {
  EXPECT_EQ(Command::gate_sync("a.b")->wire(), "stillgate sync a.b\n");
  EXPECT_EQ(Command::gate_status({"a", "b"})->wire(), "stillgate status a b\n");
  EXPECT_EQ(Command::gate_proofs({"a"})->wire(), "stillgate prove a\n");
  EXPECT_EQ(Command::set_gate_entry("a", "1.x", 1)->wire(),
            "set table stillgate key a/1.x data.gpt0 1\n");
  const std::vector<std::string> many(51, "a");
  EXPECT_EQ(Command::gate_status(many)->wire(), "stillgate status\n");
  const std::vector<std::string> longest(50, std::string(255, 'a'));
  EXPECT_LT(Command::gate_status(longest)->wire().size(), Command::max_bytes);
}

TEST(Command, TheGatesCommandsRefuseWhatHaproxyWouldMisread) {
  EXPECT_FALSE(Command::gate_sync("a b"));
  EXPECT_FALSE(Command::gate_status({"a", ";"}));
  EXPECT_FALSE(Command::gate_proofs({""}));
  EXPECT_FALSE(Command::set_gate_entry("a", "1 x", 1));
  EXPECT_FALSE(Command::set_gate_entry("a/b", "1.x", 1));
  EXPECT_FALSE(Command::set_gate_entry("a", std::string(Command::max_bytes, 'x'), 1));
}

}  // namespace
}  // namespace stillgate::runtime_api
