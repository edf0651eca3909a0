// The reader of ssh_config where ssh cannot be asked: places, refusals, files, expansions.
#include "transport/ssh/config/config.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakes/ssh_folder.hpp"

namespace stillgate::transport::ssh {
namespace {

LocalContext local() {
  LocalContext here;
  here.home = "/home/me";
  here.user = "me";
  here.uid = ::getuid();
  here.local_host = "here.example.org";
  here.environment = [](const std::string& name) {
    return name == "SET" ? std::optional<std::string>("%h${SET}") : std::nullopt;
  };
  return here;
}

Result<Settings> settings(const std::string& text,
                          const Destination& destination = {"lb1", {}, {}}) {
  const auto config = Config::parse(text, "the/file", local());
  if (!config) return config.error();
  return config->settings(destination, local());
}

std::string message(const std::string& text) {
  const auto result = settings(text);
  if (result) return "no error";
  EXPECT_EQ(result.error().code, Errc::ssh_config);
  return result.error().message;
}

TEST(SshConfig, WithoutAnyLineItIsSshsDefaults) {
  const auto found = settings("");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->host, "lb1");
  EXPECT_EQ(found->host_name, "lb1");
  EXPECT_EQ(found->port, 22);
  EXPECT_EQ(found->user, "me");
  EXPECT_EQ(found->identity_files,
            (std::vector<std::string>{"/home/me/.ssh/id_rsa", "/home/me/.ssh/id_ecdsa",
                                      "/home/me/.ssh/id_ed25519"}));
  EXPECT_FALSE(found->identity_files_named || found->identities_only || found->hash_known_hosts);
  EXPECT_FALSE(found->identity_agent);
  EXPECT_EQ(found->user_known_hosts_files,
            (std::vector<std::string>{"/home/me/.ssh/known_hosts", "/home/me/.ssh/known_hosts2"}));
  EXPECT_EQ(found->host_key_checking, HostKeyChecking::ask);
  EXPECT_TRUE(found->jumps.empty() && found->proxy_command.empty() && !found->connect_timeout);
}

TEST(SshConfig, ErrorsNameFileAndLine) {
  EXPECT_EQ(message("\n# x\nPort x\n"),
            "the/file:3: port: 'x': the port must be a number from 1 to 65535");
  EXPECT_EQ(message("User"), "the/file:1: user: the argument is missing");
  EXPECT_EQ(message("Match color red"), "the/file:1: match: unknown criterion 'color'");
  EXPECT_EQ(message("Host x\nIdentityFile \"a"), "the/file:2: identityfile: a quote is not closed");
  EXPECT_EQ(message("\nIdentityFile ${UNSET}/x"), "the/file:2: the variable ${UNSET} is not set");
  EXPECT_EQ(message("IdentityFile ~you/x"),
            "the/file:1: '~you/x': write another user's folder in full");
  EXPECT_EQ(message("HostName %p"), "the/file:1: %p has no meaning there; write %% for a plain %");
  EXPECT_EQ(message("CertificateFile 100%"),
            "the/file:1: a single % at the end; write %% for a plain %");
  EXPECT_EQ(message("ProxyCommand nc %d"),
            "the/file:1: %d has no meaning there; write %% for a plain %");
  EXPECT_EQ(message("\nAddressFamily ip6"),
            "the/file:2: addressfamily: 'ip6': expected any, inet or inet6");
  EXPECT_EQ(message("RevokedHostKeys a none"),
            "the/file:1: revokedhostkeys: 'none' must be the only argument");
  EXPECT_EQ(message("Match host = lb1"),
            "the/file:1: match: write host=... without a space before the '='");
  EXPECT_EQ(message("ProxyJump a, b"),
            "the/file:1: proxyjump: 'a,': expected [user@]host[:port], several separated by "
            "commas, or none");
  EXPECT_EQ(message("Match host"), "the/file:1: match: host needs an argument");
  EXPECT_EQ(message("User %r"), "the/file:1: %r has no meaning there; write %% for a plain %");
  EXPECT_EQ(message("Include %h.conf"),
            "the/file:1: include: %h stands for something of a host, and the files are read once "
            "for all hosts; name the file, and write 'Host' or 'Match' lines into it");
  EXPECT_EQ(message("Include ${UNSET}/x"), "the/file:1: the variable ${UNSET} is not set");
  EXPECT_EQ(message("ProxyJump %q"), "the/file:1: %q has no meaning there; write %% for a plain %");
}

TEST(SshConfig, KeywordsThatDoNotConcernUsAreNotLookedAt) {
  const auto found = settings("SendEnv\nNoSuchThing \"\nForwardAgent maybe\nPort 9");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->port, 9);
}

TEST(SshConfig, AMatchThatOnlySshCanEvaluateIsRefusedWhereItDecides) {
  const std::string text = "Match host lb2 exec \"true\" user me\nPort 9\n";
  ASSERT_TRUE(settings(text));
  const auto refused = settings(text, {"lb2", {}, {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::ssh_config);
  EXPECT_TRUE(refused.error().message.starts_with("the/file:1: match: 'exec' cannot be evaluated"));
  EXPECT_TRUE(settings(text, {"lb2", "you", {}}));  // a later criterion decides as well
  EXPECT_FALSE(settings("Match !exec x"));
  EXPECT_FALSE(settings("Match tagged x"));
  EXPECT_TRUE(settings("Match localuser you localnetwork 10.0.0.0/8"));
}

TEST(SshConfig, AHostIsMatchedInItsCaseAlone) {
  const auto found = settings("Host LB1\nPort 9\nHost lb1\nPort 10");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->port, 10);
}

TEST(SshConfig, TokensAreExpandedOnceAndWhereTheyMeanSomething) {
  const auto found = settings(
      "HostName real\nHostKeyAlias Alias\nIdentityFile ~/%h-%n-%p-%r-%u-%d-%k-%l-%L-%i-%%\n"
      "CertificateFile ${SET}/c\nIdentityAgent ~\nProxyJump %r@%h.jump:23\n",
      {"lb1", "root", 2222});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->identity_files,
            std::vector{fmt::format("/home/me/real-lb1-2222-root-me-/home/me-alias-"
                                    "here.example.org-here-{}-%",
                                    ::getuid())});
  EXPECT_EQ(found->certificate_files, std::vector<std::string>{"%h${SET}/c"});
  EXPECT_EQ(found->identity_agent, "/home/me");
  EXPECT_EQ(found->jumps, (std::vector<Destination>{{"real.jump", "root", 23}}));
}

TEST(SshConfig, WithoutALineTheAlgorithmsAreInTheOrderOfOpenSsh10) {
  const auto found = settings("");
  ASSERT_TRUE(found);
  EXPECT_EQ(fmt::format("{}", fmt::join(found->algorithms.ciphers.names, ",")),
            "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
            "aes128-ctr,aes192-ctr,aes256-ctr");
  EXPECT_EQ(found->algorithms.key_exchanges.names.front(), "mlkem768x25519-sha256");
}

TEST(SshConfig, AUserMayBeMadeOfTokensAndIsTakenAsItIsFromAnUrl) {
  const std::string text = "HostName real\nProxyJump a,u@b:3\nUser %h-%n-%u-%j-${SET}%%\n";
  const auto found = settings(text + "IdentityFile /%r");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->user, "real-lb1-me-b-%h${SET}%");
  EXPECT_EQ(found->identity_files, std::vector{"/" + found->user});
  const auto given = settings(text, {"lb1", "%h", {}});
  ASSERT_TRUE(given);
  EXPECT_EQ(given->user, "%h");
}

TEST(SshConfig, AMatchIsSplitAsOpenSsh10SplitsIt) {
  for (const char* const line : {"host \"lb1\",x", "host='lb1'", "\"host\" lb1", "host lb\"1\"",
                                 "host lb1 \"#x\"", "!host=lb2 user me"}) {
    const auto found = settings(fmt::format("Match {}\nPort 9", line));
    ASSERT_TRUE(found) << line << ": " << found.error().message;
    EXPECT_EQ(found->port, 9) << line;
  }
  for (const char* const line :
       {"host=", "host= lb1", "\"host lb1\"", "all=x", "final=x", "! host lb1", "host \"\""}) {
    EXPECT_FALSE(settings(fmt::format("Match {}", line))) << line;
  }
}

TEST(SshConfig, OfSeveralLinesTheFirstWithFilesOfRevokedKeysCounts) {
  const auto found = settings(
      "Port 9\nRevokedHostKeys ~/%h-${SET} /b\nRevokedHostKeys /other\nAddressFamily inet6\n"
      "AddressFamily inet\n");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->revoked_host_keys, (std::vector<std::string>{"/home/me/lb1-%h${SET}", "/b"}));
  EXPECT_EQ(found->revoked_host_keys_place, "the/file:2");
  EXPECT_EQ(found->address_family, AF_INET6);
  const auto none = settings("RevokedHostKeys None\nRevokedHostKeys /other");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->revoked_host_keys.empty() && none->revoked_host_keys_place.empty());
  EXPECT_EQ(none->address_family, AF_UNSPEC);
}

TEST(SshConfig, AJumpMayBeAnUri) {
  const auto found = settings("ProxyJump ssh://u%41;x=y@[::1]:23/,SSH://b,c@d@e");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->jumps,
            (std::vector<Destination>{{"::1", "uA", 23}, {"b", {}, {}}, {"e", "c@d", {}}}));
  for (const char* jump : {"ssh://%4@a", "ssh://%zz@a", "ssh://%00@a", "ssh://", "[]", "[a]b"}) {
    EXPECT_FALSE(settings(std::string("ProxyJump ") + jump)) << jump;
  }
  ASSERT_TRUE(settings("ProxyJump \"a\""));
  EXPECT_EQ(settings("ProxyJump \"a\"")->jumps, (std::vector<Destination>{{"a", {}, {}}}));
}

TEST(SshConfig, IncludesBeginWhereTheIncludingFileBelongs) {
  std::vector<std::string> asked;
  const Config::Loader loader = [&](const std::string& pattern) {
    asked.push_back(pattern);
    return Result<std::vector<Config::Source>>(std::vector<Config::Source>{});
  };
  ASSERT_TRUE(Config::parse("Include a ~/b /c", "x", local(), loader));
  ASSERT_TRUE(Config::parse("Include d", "/etc/ssh/ssh_config", local(), loader));
  EXPECT_EQ(asked, (std::vector<std::string>{"/home/me/.ssh/a", "/home/me/b", "/c", "/etc/ssh/d"}));
  EXPECT_FALSE(Config::parse("Include ~/e", "/etc/ssh/ssh_config", local(), loader));
}

TEST(SshConfig, IncludesEnd) {
  const Config::Loader once = [](const std::string&) {
    return Result(std::vector<Config::Source>{{"again", "Include x"}});
  };
  const auto deep = Config::parse("Include x", "first", local(), once);
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().message, "again:1: include: nested too deep");
  const Config::Loader many = [](const std::string&) {
    return Result(std::vector<Config::Source>(2000, {"again", ""}));
  };
  EXPECT_FALSE(Config::parse("Include x", "first", local(), many));
}

class SshConfigFiles : public SshFolder {
 protected:
  LocalContext at_home() const {
    auto here = local();
    here.home = folder_.string();
    return here;
  }
  Result<Config> load() const {
    return Config::load({folder_ / ".ssh" / "config", folder_ / "system"}, at_home());
  }
};

TEST_F(SshConfigFiles, TheUsersComesFirst) {
  EXPECT_TRUE(load());
  write(".ssh/config", "Host lb1\nPort 9\nInclude more*\n");
  write(".ssh/more1", "User one");
  write(".ssh/more2", "User two\nIdentityFile b");
  write("system", "Port 10\nIdentityFile c");
  const auto config = load();
  ASSERT_TRUE(config);
  const auto found = config->settings({"lb1", {}, {}}, at_home());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->port, 9);
  EXPECT_EQ(found->user, "one");
  EXPECT_EQ(found->identity_files, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(config->settings({"lb2", {}, {}}, at_home())->port, 10);
}

TEST_F(SshConfigFiles, WhatOthersCanWriteIsRefused) {
  const std::string own = write(".ssh/config", "Include more");
  const std::string more = write(".ssh/more", "Port 9");
  const std::string system = write("system", "");
  EXPECT_TRUE(load());
  // Each is named by the caller, too: whoever can write it runs any command.
  for (const std::string& file : {own, more, system}) {
    ASSERT_EQ(::chmod(file.c_str(), 0602), 0);
    const auto config = load();
    ASSERT_FALSE(config) << file;
    EXPECT_EQ(config.error().code, Errc::ssh_config);
    const std::string place = file == more ? own + ":1: include: " : "";
    EXPECT_TRUE(config.error().message.starts_with(place + file + ": others can write it (owner "))
        << config.error().message;
    EXPECT_TRUE(config.error().message.ends_with(
        "mode 0602); if you trust what is in it: chmod go-w '" + file + "'"))
        << config.error().message;
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  }
}

TEST_F(SshConfigFiles, AFifoOrADeviceIsNotWaitedFor) {
  const std::string own = (folder_ / ".ssh" / "config").string();
  write(".ssh/more", "");
  ASSERT_EQ(::mkfifo(own.c_str(), 0600), 0);
  auto config = load();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Errc::ssh_config);
  EXPECT_EQ(config.error().message, own + ": a FIFO, not a plain file");
  std::filesystem::remove(own);
  std::filesystem::create_symlink("/dev/zero", own);
  config = load();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message, own + ": a device, not a plain file");
  std::filesystem::remove(own);
  std::filesystem::create_symlink("/dev/null", own);
  EXPECT_TRUE(load()) << "as people have it in place of a file";
}

}  // namespace
}  // namespace stillgate::transport::ssh
