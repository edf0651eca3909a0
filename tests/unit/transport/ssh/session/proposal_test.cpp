// What is offered in a key exchange, and what is said where a server has none of it.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transport/ssh/config/config.hpp"
#include "transport/ssh/session/proposal.hpp"

namespace stillgate::transport::ssh {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Settings settings_of(const std::string& text) {
  const auto config = Config::parse(text, "config", {});
  EXPECT_TRUE(config) << config.error().message;
  const auto settings = config->settings({"lb1", {}, {}}, {});
  EXPECT_TRUE(settings) << settings.error().message;
  return *settings;
}

Result<Proposal> proposal_of(const std::string& text) {
  const Settings settings = settings_of(text);
  return make_proposal(settings, settings.algorithms.host_keys.names, supported_algorithms(),
                       "me@lb1:22");
}

/// A server with what every OpenSSH has.
KexInit usual() {
  return {"curve25519-sha256", "ssh-ed25519",   "aes128-ctr", "aes128-ctr",
          "hmac-sha2-256",     "hmac-sha2-256", "none",       "none"};
}

TEST(Proposal, HasNothingOldByItself) {
  const auto proposal = proposal_of("");
  ASSERT_TRUE(proposal);
  for (const auto* list :
       {&proposal->key_exchanges, &proposal->host_keys, &proposal->ciphers, &proposal->macs}) {
    ASSERT_FALSE(list->empty());
    for (const std::string& name : *list) {
      for (const char* const old :
           {"arcfour", "blowfish", "3des", "cast128", "-cbc", "md5", "ripemd", "-96", "group1-",
            "group14-sha1", "exchange-sha1", "ssh-rsa", "ssh-dss", "cert"}) {
        EXPECT_THAT(name, Not(HasSubstr(old)));
      }
    }
  }
  EXPECT_EQ(proposal->key_exchanges.front(), "curve25519-sha256");
  EXPECT_EQ(proposal->host_keys.front(), "ssh-ed25519");
  EXPECT_EQ(mismatch(*proposal, usual()), "");
}

TEST(Proposal, HasAesGcmLastUnlessALineHasAnOrder) {
  SupportedAlgorithms all = supported_algorithms();
  all.ciphers = {"aes128-ctr", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"};
  const auto offered = [&](const std::string& text) {
    const Settings settings = settings_of(text);
    const auto proposal =
        make_proposal(settings, settings.algorithms.host_keys.names, all, "me@lb1:22");
    return proposal ? proposal->ciphers : std::vector<std::string>();
  };
  EXPECT_THAT(offered(""),
              ElementsAre("chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-gcm@openssh.com"));
  EXPECT_THAT(offered("Ciphers aes256-gcm@openssh.com,aes128-ctr"),
              ElementsAre("aes256-gcm@openssh.com", "aes128-ctr"));
}

TEST(Proposal, HasWhatTheConfigurationAsksFor) {
  const auto proposal = proposal_of(
      "Ciphers +3des-cbc\nMACs ^hmac-sha1\nKexAlgorithms -curve25519*,ecdh-*\n"
      "HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519\n");
  ASSERT_TRUE(proposal);
  EXPECT_EQ(proposal->ciphers.back(), "3des-cbc");
  EXPECT_EQ(proposal->macs.front(), "hmac-sha1");
  EXPECT_EQ(proposal->key_exchanges.front(), "diffie-hellman-group-exchange-sha256");
  EXPECT_THAT(proposal->host_keys, ElementsAre("ecdsa-sha2-nistp256", "ssh-ed25519"));
}

TEST(Proposal, NamesTheLineThatLeavesNothing) {
  const auto proposal = proposal_of("\nMACs umac-64@openssh.com,umac-128@openssh.com\n");
  ASSERT_FALSE(proposal);
  EXPECT_EQ(proposal.error().code, Errc::ssh_key_exchange);
  EXPECT_THAT(proposal.error().message, HasSubstr("the MACs of config:2 allow nothing"));
  EXPECT_THAT(proposal.error().message, HasSubstr("hmac-sha2-256"));
}

TEST(Proposal, OffersWhatTerrapinNeedsOnlyWithTheStrictKeyExchange) {
  const auto& supported = supported_algorithms();
  if (supported.strict_key_exchange) return;
  EXPECT_THAT(supported.ciphers, Not(Contains("chacha20-poly1305@openssh.com")));
  EXPECT_THAT(supported.macs, Not(Contains(HasSubstr("-etm@"))));
}

TEST(Mismatch, NamesTheListAndBothSides) {
  const auto proposal = proposal_of("");
  ASSERT_TRUE(proposal);
  const auto said = [&](std::string KexInit::*list, const std::string& names) {
    KexInit server = usual();
    server.*list = names;
    return mismatch(*proposal, server);
  };
  EXPECT_THAT(said(&KexInit::key_exchanges, "sntrup761x25519-sha512@openssh.com"),
              HasSubstr("no key exchange in common: the server offers "
                        "sntrup761x25519-sha512@openssh.com; libssh2"));
  EXPECT_THAT(said(&KexInit::host_keys, "ssh-dss"),
              HasSubstr("no host key algorithm in common: the server offers ssh-dss;"));
  for (const auto list : {&KexInit::ciphers_to_server, &KexInit::ciphers_to_client}) {
    EXPECT_THAT(said(list, "3des-cbc"),
                HasSubstr("no cipher in common: the server offers 3des-cbc;"));
  }
  for (const auto list : {&KexInit::macs_to_server, &KexInit::macs_to_client}) {
    EXPECT_THAT(said(list, "hmac-md5"), HasSubstr("no MAC in common: the server offers hmac-md5;"));
  }
  EXPECT_THAT(said(&KexInit::compressions_to_client, "zlib"), HasSubstr("it offers zlib"));
  EXPECT_THAT(said(&KexInit::macs_to_server, ""), HasSubstr("the server offers none;"));
}

/// It is shown on terminals.
TEST(Mismatch, ShowsNothingElseOfAServersWords) {
  const auto proposal = proposal_of("");
  KexInit server = usual();
  server.ciphers_to_server = "\x1b[2J*,!" + std::string(5000, 'x');
  const std::string said = mismatch(*proposal, server);
  EXPECT_THAT(said, HasSubstr("offers ?[2J*,!xxx"));
  EXPECT_LT(said.size(), 1000);
}

}  // namespace
}  // namespace stillgate::transport::ssh
