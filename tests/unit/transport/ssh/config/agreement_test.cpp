// Our reader of ssh_config against ssh itself: what `ssh -G` says of each of these configurations.
#include <algorithm>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <unistd.h>

#include "fakes/ssh_folder.hpp"
#include "transport/ssh/config/config.hpp"

namespace stillgate::transport::ssh {
namespace {

using Values = std::map<std::string, std::vector<std::string>>;

constexpr const char* agent = "/run/the agent";
constexpr const char* variable = "/of/the/environment";

LocalContext local() {
  const passwd* const entry = ::getpwuid(::getuid());
  LocalContext here;
  here.home = entry->pw_dir;
  here.user = entry->pw_name;
  here.uid = ::getuid();
  here.agent = agent;
  here.environment = [](const std::string& name) {
    return name == "AVAR" ? std::optional<std::string>(variable) : std::nullopt;
  };
  return here;
}

std::string with_home(const std::string& path) {
  return path.starts_with("~/") ? local().home + path.substr(1) : path;
}

std::string jump_text(const std::vector<Destination>& jumps) {
  std::string text;
  for (const auto& hop : jumps) {
    const bool six = hop.host.find(':') != std::string::npos;
    text += fmt::format("{}{}{}{}{}", text.empty() ? "" : ",", hop.user ? *hop.user + "@" : "",
                        six ? "[" : "", hop.host, six ? "]" : "");
    if (hop.port) text += fmt::format(":{}", *hop.port);
  }
  return text;
}

std::string listed(const AlgorithmList& list) {
  return fmt::format("{}", fmt::join(list.names, ","));
}

/// In the words of `ssh -G`.
Values ours(const Settings& settings) {
  static const std::map<HostKeyChecking, std::string> checking{
      {HostKeyChecking::ask, "ask"},
      {HostKeyChecking::yes, "true"},
      {HostKeyChecking::accept_new, "accept-new"},
      {HostKeyChecking::no, "false"}};
  static const std::map<int, std::string> families{
      {AF_UNSPEC, "any"}, {AF_INET, "inet"}, {AF_INET6, "inet6"}};
  Values values{{"hostname", {settings.host_name}},
                {"port", {std::to_string(settings.port)}},
                {"user", {settings.user}},
                {"identitiesonly", {settings.identities_only ? "yes" : "no"}},
                {"hashknownhosts", {settings.hash_known_hosts ? "yes" : "no"}},
                {"addressfamily", {families.at(settings.address_family)}},
                {"stricthostkeychecking", {checking.at(settings.host_key_checking)}}};
  const auto add = [&](const char* name, const std::vector<std::string>& list) {
    if (!list.empty()) values[name] = list;
  };
  const auto add_text = [&](const char* name, const std::string& text) {
    if (!text.empty()) values[name] = {text};
  };
  add("identityfile", settings.identity_files);
  add("certificatefile", settings.certificate_files);
  add("userknownhostsfile", settings.user_known_hosts_files);
  add("globalknownhostsfile", settings.global_known_hosts_files);
  add_text("identityagent", settings.identity_agent.value_or("none"));
  add_text("hostkeyalias", settings.host_key_alias);
  add_text("revokedhostkeys", fmt::format("{}", fmt::join(settings.revoked_host_keys, " ")));
  add_text("proxycommand", settings.proxy_command);
  add_text("proxyjump", jump_text(settings.jumps));
  const Algorithms& algorithms = settings.algorithms;
  add_text("kexalgorithms", listed(algorithms.key_exchanges));
  add_text("hostkeyalgorithms", listed(algorithms.host_keys));
  add_text("ciphers", listed(algorithms.ciphers));
  add_text("macs", listed(algorithms.macs));
  add_text("pubkeyacceptedalgorithms", listed(algorithms.public_keys));
  if (settings.connect_timeout) {
    add_text("connecttimeout", std::to_string(settings.connect_timeout->count()));
  }
  return values;
}

/// What ssh prints, as far as it is in `ours`, with what it leaves unsaid or unexpanded.
Values theirs(const std::string& output, bool named) {
  static const std::string wanted =
      " hostname port user identitiesonly hashknownhosts identityfile certificatefile"
      " stricthostkeychecking userknownhostsfile identityagent hostkeyalias revokedhostkeys"
      " globalknownhostsfile proxycommand proxyjump connecttimeout addressfamily"
      " kexalgorithms hostkeyalgorithms ciphers macs pubkeyacceptedalgorithms ";
  Values values;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find(' '));
    const std::string value = line.substr(std::min(name.size() + 1, line.size()));
    if (wanted.find(" " + name + " ") == std::string::npos) continue;
    const bool list = name == "userknownhostsfile" || name == "globalknownhostsfile";
    const bool keys = name == "identityfile" || name == "certificatefile";
    if (value == "none" && name != "identityagent") continue;
    if (name == "connecttimeout" && value == "0") continue;
    const bool unusable = value.ends_with("_sk") || value.ends_with("_xmss") ||
                          value.ends_with("_dsa") || value.ends_with("_mldsa44_ed25519");
    if (name == "identityfile" && !named && unusable) continue;
    std::istringstream words(value);
    if (list) {
      for (std::string word; words >> word;) values[name].push_back(with_home(word));
    } else {
      values[name].push_back(keys ? with_home(value) : value);
    }
  }
  auto& socket = values["identityagent"];
  if (socket.empty() || socket[0] == "SSH_AUTH_SOCK") socket = {agent};
  if (socket[0] == "$AVAR") socket = {variable};
  if (socket[0] == "$NOVAR") socket = {"none"};
  return values;
}

int release_in(const std::string& version) {
  constexpr std::string_view before = "OpenSSH_";
  const std::size_t at = version.find(before);
  return at == std::string::npos ? 0 : std::stoi(version.substr(at + before.size()));
}

void change(Values& values, const std::string& name,
            const std::function<void(std::vector<std::string>&)>& act) {
  const auto found = values.find(name);
  if (found == values.end()) return;
  std::vector<std::string> names;
  std::istringstream list(found->second.at(0));
  for (std::string one; std::getline(list, one, ',');) names.push_back(one);
  act(names);
  found->second = {fmt::format("{}", fmt::join(names, ","))};
}

/// OpenSSH before 10 prefers AES-CTR to AES-GCM. MLKEM came with 9.9, and first of all with 10.
void as_before_10(Values& values) {
  change(values, "ciphers", [](auto& names) {
    const auto is_aes = [](const auto& name) {
      return name.ends_with("-gcm@openssh.com") || name.ends_with("-ctr");
    };
    const auto chacha = std::find(names.begin(), names.end(), "chacha20-poly1305@openssh.com");
    const auto first = std::find_if(chacha, names.end(), is_aes);
    const auto end = std::find_if_not(first, names.end(), is_aes);
    std::stable_partition(first, end, [](const auto& name) { return name.ends_with("-ctr"); });
  });
  change(values, "kexalgorithms", [](auto& names) { std::erase(names, "mlkem768x25519-sha256"); });
}

/// OpenSSH 10 has no DSA, which who asks for it still gets from us. What 10.6 has added no libssh2
/// can use, and it is among the defaults there.
void without_the_newest_and_oldest_keys(Values& values) {
  for (const char* const name : {"hostkeyalgorithms", "pubkeyacceptedalgorithms"}) {
    change(values, name, [](auto& names) {
      std::erase_if(names, [](const auto& one) {
        return one.starts_with("webauthn-") || one.starts_with("ssh-mldsa") ||
               one.starts_with("ssh-dss");
      });
    });
  }
}

struct Case {
  const char* host;
  const char* text;  ///< FOLDER is the folder of the included files
};

class SshAgreement : public SshFolder, public testing::WithParamInterface<Case> {
 public:
  /// Of the ssh on the PATH.
  static int release() {
    static const int number = release_in(run("ssh -V").output);
    return number;
  }

 protected:
  void compare(const std::string& file, const Destination& destination) {
    const auto ran = run(fmt::format(
        "env SSH_AUTH_SOCK='{}' AVAR={} ssh -G -F {} {} {} {}", agent, variable, file,
        destination.user ? "-l " + *destination.user : "",
        destination.port ? fmt::format("-p {}", *destination.port) : "", destination.host));
    const auto config = Config::load({file}, local());
    const auto settings =
        config ? config->settings(destination, local()) : Result<Settings>(config.error());
    ASSERT_EQ(static_cast<bool>(settings), ran.well)
        << (settings ? ran.output : settings.error().message);
    if (settings) {
      auto said = ours(*settings);
      auto wanted = theirs(ran.output, settings->identity_files_named);
      ASSERT_GE(release(), 8);
      for (Values* const one : {&said, &wanted}) {
        without_the_newest_and_oldest_keys(*one);
        if (release() < 10) as_before_10(*one);
      }
      EXPECT_EQ(said, wanted);
    }
  }
};

TEST_P(SshAgreement, SaysWhatSshSays) {
  write("one.conf", "User one\nHost other\n  Port 1001\n");
  write("two.conf", "Match host lb1\n  Port 1002\n  User two\n");
  write("sub/a.conf", "IdentityFile a\n");
  write("sub/b.conf", "IdentityFile b\n");
  write("wrong.conf", "Port x\n");
  write("of-" + local().user + ".conf", "Port 1003\n");
  std::string text = GetParam().text;
  for (std::size_t at = 0; (at = text.find("FOLDER")) != std::string::npos;) {
    text.replace(at, 6, folder_.string());
  }
  SCOPED_TRACE(text);
  const std::string file = write("config", text);
  compare(file, {GetParam().host, {}, {}});
  compare(file, {GetParam().host, "asked", 4444});
}

INSTANTIATE_TEST_SUITE_P(
    Lines, SshAgreement,
    testing::Values(Case{"lb1", ""}, Case{"lb1", "# nothing\n\n  \n"}, Case{"LB1", ""},
                    Case{"::1", ""}, Case{"lb1", "Port=9"}, Case{"lb1", "port = 9"},
                    Case{"lb1", "PORT\t9 \f\r\n"}, Case{"lb1", "  Port  9  # nine"},
                    Case{"lb1", "=Port 9"}, Case{"lb1", "\"Port\" 9"}, Case{"lb1", "Port = = 9"},
                    Case{"lb1", "Port 9#"}, Case{"lb1", "Port \"9\""}, Case{"lb1", "Port 0"},
                    Case{"lb1", "Port 65536"}, Case{"lb1", "Port 9 10"}, Case{"lb1", "Port"},
                    Case{"lb1", "Port #"}, Case{"lb1", "User a#b"}, Case{"lb1", "User \"a b\" # c"},
                    Case{"lb1", "User 'a \"b'"}, Case{"lb1", "User a\\ b\\'c"},
                    Case{"lb1", "User a\\b"}, Case{"lb1", "User \"a b"}, Case{"lb1", "User \"\""},
                    Case{"lb1", "User a b"}, Case{"lb1", "User a\nUser b"},
                    Case{"lb1", "HostName==x"}, Case{"lb1", "HostName %h.Example.COM\nHostName y"},
                    Case{"lb1", "HostName %%%h"}, Case{"lb1", "HostName %n"},
                    Case{"lb1", "HostName a%"}));

INSTANTIATE_TEST_SUITE_P(
    Blocks, SshAgreement,
    testing::Values(
        Case{"lb1", "Host lb1\nPort 9\nHost lb2\nPort 8"}, Case{"lb1", "Host * !lb1\nPort 9"},
        Case{"lb1", "Host !lb2\nPort 9"}, Case{"lb1", "Host l?1 !x\nPort 9\nHost *\nUser q"},
        Case{"lb1", "Host lb1,x\nPort 9"}, Case{"lb1", "Host \"lb1\"\nPort 9"},
        Case{"lb1", "Host=lb1\nPort 9"}, Case{"lb1", "Host \"\"\nPort 9"}, Case{"lb1", "Host"},
        Case{"lb1", "Host # nobody\nPort 9"}, Case{"lb1", "Host lb2\nPort x"},
        Case{"lb1", "Match host=\"lb1\" !user nobody\nPort 9"},
        Case{"LB1", "Match host lb1\nPort 9"}, Case{"lb1", "Match all\nPort 9"},
        Case{"lb1", "Match !all\nPort 9"}, Case{"lb1", "Match all host lb1\nPort 9"},
        Case{"lb1", "Match host lb1 all\nPort 9"}, Case{"lb1", "Match host lb1 user * all\nPort 9"},
        Case{"lb1", "Match host lb1 # c\nPort 9"}, Case{"lb1", "Match host"},
        Case{"lb1", "Match host #"}, Case{"lb1", "Match #"}, Case{"lb1", "Match"},
        Case{"lb1", "Match color blue"}, Case{"lb1", "Match host x,l*,!lb2\nPort 9"},
        Case{"lb1", "Match !host lb1\nPort 9"},
        Case{"lb1", "HostName real\nMatch host real originalhost LB1\nPort 9"},
        Case{"lb1", "HostName %h.x\nMatch host lb1.x\nPort 9\nHost lb1.x\nPort 8"},
        Case{"lb1", "User asked\nMatch user asked\nPort 9"},
        Case{"lb1", "Match user ASKED\nPort 9"}, Case{"lb1", "Match localuser nobody\nPort 9"},
        Case{"lb1", "Match localuser *\nPort 9"},
        Case{"lb1", "Match host lb2 exec \"false\"\nPort 9"},
        Case{"lb1", "Match canonical\nPort 9"}, Case{"lb1", "Match !canonical\nPort 9"},
        Case{"lb1", "Match final\nPort 9"}, Case{"lb1", "Match !final\nPort 9"},
        Case{"lb1", "Match final all\nPort 9\nMatch canonical\nUser can"},
        Case{"lb1", "HostName real\nMatch final host real\nPort 9\nHost real\nUser two"},
        Case{"lb1", "HostName real\nMatch host x final\nPort 9\nHost real\nUser two"},
        Case{"lb1", "Match final\nPort 9\nHostName late"}));

INSTANTIATE_TEST_SUITE_P(
    Includes, SshAgreement,
    testing::Values(Case{"lb1", "Include FOLDER/one.conf\nPort 7"},
                    Case{"lb1", "Include FOLDER/two.conf\nPort 7\nUser seven"},
                    Case{"lb2", "Include FOLDER/two.conf\nPort 7\nUser seven"},
                    Case{"lb1", "Host lb2\nInclude FOLDER/*.conf\nHost *\nPort 7"},
                    Case{"lb1", "Host lb2\nInclude FOLDER/one.conf\nPort 8\nHost *\nPort 7"},
                    Case{"lb1", "Host lb1\nInclude FOLDER/one.conf FOLDER/two.conf\nPort 8"},
                    Case{"lb1", "Include FOLDER/sub/*.conf\nIdentityFile c\nIdentityFile a"},
                    Case{"lb1", "Include FOLDER/nothing FOLDER/no*thing /nowhere/x\nPort 9"},
                    Case{"lb1", "Host lb2\nInclude FOLDER/wrong.conf"}, Case{"lb1", "Include \"\""},
                    Case{"lb1", "Include FOLDER/config"},
                    Case{"lb1", "Include ~/.ssh/none-of-that\nPort 9"}));

/// What OpenSSH reads otherwise since 10, and we with it (what we make of it: config_test.cpp).
std::vector<Case> since_10() {
  if (SshAgreement::release() < 10) return {};
  return {{"lb1", "User %h-%u-%n-%k-%j%%"},
          {"lb1", "HostName x\nProxyJump u@a:3,b\nUser %h-%j"},
          {"lb1", "User ${AVAR}"},
          {"lb1", "User ${NOVAR}"},
          {"lb1", "User ~/%r"},
          {"lb1", "User ~"},
          {"lb1", "Match host \"lb1\",x\nPort 9"},
          {"lb1", "Match host=lb1\nPort 9"},
          {"lb1", "Match host 'lb1'\nPort 9"},
          {"lb1", "Match \"host\" lb1\nPort 9"},
          {"lb1", "Match host lb\"1\"\nPort 9"},
          {"lb1", "Match \"host lb1\"\nPort 9"},
          {"lb1", "Match host lb1 \"#x\"\nPort 9"},
          {"lb1", "Match host= lb1\nPort 9"},
          {"lb1", "Match host = lb1\nPort 9"},
          {"lb1", "Match host \"\"\nPort 9"},
          {"lb1", "Match all=x\nPort 9"},
          {"lb1", "Match ! host lb1\nPort 9"},
          {"lb1", "Include FOLDER/of-%u.conf\nPort 9"},
          {"lb1", "Include FOLDER${AVAR}/../of-%u.conf\nPort 9"},
          {"lb1", "Include FOLDER/%Q"}};
}

INSTANTIATE_TEST_SUITE_P(SinceOpenSsh10, SshAgreement, testing::ValuesIn(since_10()));

INSTANTIATE_TEST_SUITE_P(
    Keys, SshAgreement,
    testing::Values(
        Case{"lb1", "IdentityFile ~/k\nIdentityFile /k\nIdentityFile ~/k"},
        Case{"lb1", "IdentityFile none"}, Case{"lb1", "IdentityFile none\nIdentityFile /k"},
        Case{"lb1", "Host lb1\nIdentityFile /a\nHost *\nIdentityFile /b\nIdentitiesOnly YES"},
        Case{"lb1", "IdentitiesOnly true\nIdentitiesOnly no"}, Case{"lb1", "IdentitiesOnly maybe"},
        Case{"lb1", "CertificateFile /a\nCertificateFile /b\nCertificateFile /a"},
        Case{"lb1", "IdentityAgent none\nIdentityAgent /x"}, Case{"lb1", "IdentityAgent /x"},
        Case{"lb1", "IdentityAgent SSH_AUTH_SOCK"}, Case{"lb1", "IdentityAgent $AVAR"},
        Case{"lb1", "IdentityAgent $NOVAR"}, Case{"lb1", "IdentityAgent ${AVAR}/s"},
        Case{"lb1", "IdentityAgent ${NOVAR}"}, Case{"lb1", "IdentityAgent $NO-VAR"},
        Case{"lb1", "IdentityAgent ${AVAR"},
        Case{"lb1", "IdentityAgent ~/a-%h-%p-%r-%n-%d-%u-%i-%k"},
        Case{"lb1", "IdentityAgent \"/with a space\""}, Case{"lb1", "IdentityAgent /%q"},
        Case{"lb1", "UserKnownHostsFile none"}, Case{"lb1", "UserKnownHostsFile /a ~/b"},
        Case{"lb1", "UserKnownHostsFile ${AVAR}/%h-%p-%%-%r /b\nUserKnownHostsFile c"},
        Case{"lb1", "HostName x\nHostKeyAlias Al\nUserKnownHostsFile /%k-%n-%h"},
        Case{"lb1", "UserKnownHostsFile a none"}, Case{"lb1", "UserKnownHostsFile none a"},
        Case{"lb1", "UserKnownHostsFile a \"\""}, Case{"lb1", "GlobalKnownHostsFile none"},
        Case{"lb1", "GlobalKnownHostsFile /a /b"}, Case{"lb1", "HostKeyAlias Alias.%h"},
        Case{"lb1", "HashKnownHosts yes"}, Case{"lb1", "StrictHostKeyChecking yes"},
        Case{"lb1", "StrictHostKeyChecking ASK"}, Case{"lb1", "StrictHostKeyChecking off"},
        Case{"lb1", "StrictHostKeyChecking false"}, Case{"lb1", "StrictHostKeyChecking accept-new"},
        Case{"lb1", "StrictHostKeyChecking perhaps"},
        Case{"lb1", "RevokedHostKeys /a\nRevokedHostKeys /b"}, Case{"lb1", "RevokedHostKeys NONE"},
        Case{"lb1", "RevokedHostKeys none\nRevokedHostKeys /b"},
        Case{"lb1", "RevokedHostKeys \"/a b\""}, Case{"lb1", "RevokedHostKeys"},
        Case{"lb1", "RevokedHostKeys \"\""},
        Case{"lb1", "Host lb2\nRevokedHostKeys /a\nHost *\nRevokedHostKeys /b"}));

INSTANTIATE_TEST_SUITE_P(
    AlgorithmLists, SshAgreement,
    testing::Values(
        Case{"lb1", "Ciphers aes256-ctr,aes128-cbc\nCiphers aes128-ctr"},
        Case{"lb1", "Ciphers +3des-cbc,aes128-ctr"}, Case{"lb1", "Ciphers ^aes256-ctr,3des-cbc"},
        Case{"lb1", "Ciphers -*-gcm@openssh.com,chacha*"}, Case{"lb1", "Ciphers arcfour"},
        Case{"lb1", "Ciphers *"}, Case{"lb1", "Ciphers aes128-ctr aes256-ctr"},
        Case{"lb1", "Ciphers"}, Case{"lb1", "Ciphers \"\""}, Case{"lb1", "Ciphers +"},
        Case{"lb1", "Host lb2\nCiphers nonsense"}, Case{"lb1", "Host lb2\nCiphers 3des-cbc"},
        Case{"lb1", "Match host lb1\nMACs hmac-md5\nHost *\nMACs hmac-sha1"},
        Case{"lb1", "MACs -*etm*"}, Case{"lb1", "MACs hmac-sha3"},
        Case{"lb1", "MACs ^hmac-sha2-512"},
        Case{"lb1", "KexAlgorithms +diffie-hellman-group1-sha1"},
        Case{"lb1", "KexAlgorithms -sntrup*,!sntrup761x25519-sha512"},
        Case{"lb1", "KexAlgorithms curve25519-sha256"}, Case{"lb1", "KexAlgorithms ecdh-*"},
        Case{"lb1", "HostKeyAlgorithms +ssh-rsa"}, Case{"lb1", "HostKeyAlgorithms rsa*"},
        Case{"lb1", "HostKeyAlgorithms ^ssh-*"}, Case{"lb1", "HostKeyAlgorithms ssh-rsa1"},
        Case{"lb1", "PubkeyAcceptedAlgorithms +ssh-rsa\nPubkeyAcceptedAlgorithms ssh-ed25519"},
        Case{"lb1", "PubkeyAcceptedKeyTypes -*cert*,sk-*"},
        Case{"lb1", "PubkeyAcceptedAlgorithms nothing"}));

INSTANTIATE_TEST_SUITE_P(
    Ways, SshAgreement,
    testing::Values(
        Case{"lb1", "ProxyJump a"}, Case{"lb1", "ProxyJump u@a:33,b,[::1]:22 # c"},
        Case{"lb1", "ProxyJump = a"}, Case{"lb1", "ProxyJump none\nProxyJump b"},
        Case{"lb1", "ProxyJump NONE\nProxyCommand nc"},
        Case{"lb1", "ProxyCommand none\nProxyJump a"},
        Case{"lb1", "ProxyCommand nc a\nProxyJump a"},
        Case{"lb1", "ProxyJump a\nProxyCommand nc a"},
        Case{"lb1", "ProxyJump none\nProxyCommand x\nProxyJump b"},
        Case{"lb1", "ProxyJump ssh://a"}, Case{"lb1", "ProxyJump ssh://u@a:23/"},
        Case{"lb1", "ProxyJump ssh://u;x=y@a:23"}, Case{"lb1", "ProxyJump ssh://a/x"},
        Case{"lb1", "ProxyJump a/22"}, Case{"lb1", "ProxyJump a:"}, Case{"lb1", "ProxyJump a:b"},
        Case{"lb1", "ProxyJump a:0"}, Case{"lb1", "ProxyJump ::1"}, Case{"lb1", "ProxyJump [::1]"},
        Case{"lb1", "ProxyJump [::1"}, Case{"lb1", "ProxyJump @a"}, Case{"lb1", "ProxyJump a@"},
        Case{"lb1", "ProxyJump u@@a"}, Case{"lb1", "ProxyJump ,a"}, Case{"lb1", "ProxyJump a,"},
        Case{"lb1", "ProxyJump none,a"}, Case{"lb1", "ProxyJump a#b"},
        Case{"lb1", "Host lb2\nProxyJump a:b"},
        Case{"lb1", "ProxyCommand  = nc \"a b\" 22 # not a comment"},
        Case{"lb1", "ProxyCommand nc 'a"}, Case{"lb1", "ProxyCommand none\nProxyCommand nc"},
        Case{"lb1", "ConnectTimeout 5\nConnectTimeout 6"}, Case{"lb1", "ConnectTimeout 1m30"},
        Case{"lb1", "ConnectTimeout 1H2s"}, Case{"lb1", "ConnectTimeout none\nConnectTimeout 5"},
        Case{"lb1", "ConnectTimeout 0\nConnectTimeout 5"}, Case{"lb1", "ConnectTimeout -1"},
        Case{"lb1", "ConnectTimeout x"}, Case{"lb1", "ConnectTimeout 5x"},
        Case{"lb1", "ConnectTimeout 99999999999"}, Case{"lb1", "AddressFamily any"},
        Case{"lb1", "AddressFamily INET\nAddressFamily inet6"}, Case{"lb1", "AddressFamily inet6"},
        Case{"lb1", "AddressFamily any\nAddressFamily inet"}, Case{"lb1", "AddressFamily inet4"},
        Case{"lb1", "AddressFamily inet inet6"}, Case{"lb1", "AddressFamily"},
        Case{"lb1", "AddressFamily \"\""}, Case{"lb1", "Host lb2\nAddressFamily unspec"}));

TEST_F(SshFolder, AProxyCommandIsExpandedAsSshDoes) {
  const std::string file =
      write("config", "User me\nHostName real.%h\nProxyCommand echo \"<%n|%h|%p|%r|%%>\"; false\n");
  const auto config = Config::load({file}, local());
  ASSERT_TRUE(config);
  const auto settings = config->settings({"lb1", {}, 2222}, local());
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->proxy_command, "echo \"<lb1|real.lb1|2222|me|%>\"; false");
  const std::string said = "<lb1|real.lb1|2222|me|%>";
  const auto ran = run("ssh -v -p 2222 -F " + file + " lb1");
  EXPECT_NE(ran.output.find(settings->proxy_command), std::string::npos) << ran.output;
}

}  // namespace
}  // namespace stillgate::transport::ssh
