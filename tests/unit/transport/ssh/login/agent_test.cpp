// What is said to an SSH agent, and what is made of its answers.
#include "transport/ssh/login/agent_protocol.hpp"

#include <string>

#include <gtest/gtest.h>

#include "transport/ssh/base/wire.hpp"

namespace stillgate::transport::ssh {
namespace {

using namespace std::string_literals;

/// As libssh2 has it signed.
std::string request(const std::string& algorithm) {
  return WireWriter().string("session").bytes() + '\x32' +
         WireWriter().string("user").string("ssh-connection").string("publickey").bytes() + '\x01' +
         WireWriter().string(algorithm).string("blob").bytes();
}

std::string question(const std::string& data, std::uint32_t flags) {
  const std::string message =
      '\x0d' + WireWriter().string("blob").string(data).number(flags).bytes();
  return WireWriter().string(message).bytes();
}

std::string list(std::uint32_t count) { return '\x0c' + WireWriter().number(count).bytes(); }

TEST(AgentProtocol, AsksForTheKeys) { EXPECT_EQ(agent_keys_request(), "\0\0\0\1\x0b"s); }

TEST(AgentProtocol, ReadsTheKeys) {
  const auto keys = parse_agent_keys(
      list(2) + WireWriter().string("one").string("a@b").string("two").string("").bytes());
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].blob, "one");
  EXPECT_EQ(keys[0].comment, "a@b");
  EXPECT_EQ(keys[1].blob, "two");
  EXPECT_EQ(keys[1].comment, "");
}

TEST(AgentProtocol, ReadsWhatIsThereOfAListThatIsCut) {
  EXPECT_EQ(
      parse_agent_keys(list(4'000'000'000) + WireWriter().string("one").string("a").bytes()).size(),
      1U);
  EXPECT_TRUE(parse_agent_keys(list(1) + WireWriter().string("one").bytes()).empty());
}

/// A key that is said to be longer than the answer, with what would be a comment behind it.
TEST(AgentProtocol, StopsAtTheFirstKeyThatCannotBeRead) {
  const std::string too_long = WireWriter().number(99).string("comment").bytes();
  EXPECT_TRUE(parse_agent_keys(list(1) + too_long).empty());
  EXPECT_EQ(
      parse_agent_keys(list(2) + WireWriter().string("one").string("").bytes() + too_long).size(),
      1U);
}

TEST(AgentProtocol, TakesARefusalForNoKeys) {
  EXPECT_TRUE(parse_agent_keys("\x05").empty());
  EXPECT_TRUE(parse_agent_keys("").empty());
}

TEST(AgentProtocol, TellsTheAgentByWhichAlgorithmRsaIsToBeSigned) {
  const std::string plain = request("ssh-ed25519");
  EXPECT_EQ(agent_signature_request("blob", plain), question(plain, 0));
  EXPECT_EQ(agent_signature_request("blob", request("rsa-sha2-256")),
            question(request("rsa-sha2-256"), 2));
  EXPECT_EQ(agent_signature_request("blob", request("rsa-sha2-512")),
            question(request("rsa-sha2-512"), 4));
  EXPECT_EQ(agent_signature_request("blob", "cut"), question("cut", 0));
}

TEST(AgentProtocol, ReadsASignature) {
  const std::string inner = WireWriter().string("ssh-ed25519").string("signature").bytes();
  EXPECT_EQ(parse_agent_signature('\x0e' + WireWriter().string(inner).bytes()), "signature");
}

TEST(AgentProtocol, KnowsARefusalAndAnAnswerThatIsCut) {
  EXPECT_EQ(parse_agent_signature("\x05"), std::nullopt);
  EXPECT_EQ(parse_agent_signature(""), std::nullopt);
  EXPECT_EQ(parse_agent_signature("\x0e"), std::nullopt);
  const std::string inner = WireWriter().string("ssh-ed25519").bytes();
  EXPECT_EQ(parse_agent_signature('\x0e' + WireWriter().string(inner).bytes()), std::nullopt);
}

}  // namespace
}  // namespace stillgate::transport::ssh
