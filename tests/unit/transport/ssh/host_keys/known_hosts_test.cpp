// known_hosts: lookups as ssh-keygen does them, verdicts, fingerprints, and what is appended.
#include "transport/ssh/host_keys/known_hosts.hpp"

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "fakes/ssh_folder.hpp"
#include "transport/ssh/base/base64.hpp"

namespace stillgate::transport::ssh {
namespace {

using Verdict = KnownHosts::Verdict;

// Made by ssh-keygen, as is the fingerprint.
constexpr const char* real_key =
    "AAAAC3NzaC1lZDI1NTE5AAAAIMzOxh4QwwwZt+fcArbNomDILWR75hWEcZZ/gYkySj13";

std::string field(const std::string& text) {
  return std::string("\0\0\0", 3) + static_cast<char>(text.size()) + text;
}

/// Any 32 bytes are a key to ssh.
std::string key(char which, const std::string& type = "ssh-ed25519") {
  return field(type) + field(std::string(32, which));
}

std::string line(const std::string& names, const std::string& blob) {
  return fmt::format("{} {} {}\n", names, key_type(blob), encode_base64(blob));
}

Verdict verdict(const std::string& text, const std::vector<std::string>& names,
                const std::string& blob) {
  return KnownHosts::parse(text, "f").check(names, blob).verdict;
}

TEST(SshKnownHosts, FourVerdictsAndTheirLines) {
  const std::string other = key('o', "ssh-rsa");
  const std::string text = "# a comment\n" + line("lb0", key('z')) + line("lb1", other) +
                           line("lb1,lb2", key('a')) + "@revoked " + line("*", key('r'));
  const auto hosts = KnownHosts::parse(text, "the file");
  const auto check = [&](const char* name, const std::string& blob) {
    const auto found = hosts.check({name}, blob);
    return std::tuple(found.verdict, found.file, found.line);
  };
  EXPECT_EQ(check("lb1", key('a')), std::tuple(Verdict::known, "the file", 4U));
  EXPECT_EQ(check("lb1", key('b')), std::tuple(Verdict::changed, "the file", 4U));
  EXPECT_EQ(check("lb2", other), std::tuple(Verdict::other_type, "the file", 4U));
  EXPECT_EQ(check("lb3", key('a')), std::tuple(Verdict::unknown, "", 0U));
  EXPECT_EQ(check("lb3", key('r')), std::tuple(Verdict::revoked, "the file", 5U));
  EXPECT_EQ(hosts.key_types("lb1"), (std::vector<std::string>{"ssh-rsa", "ssh-ed25519"}));
  EXPECT_TRUE(hosts.key_types("lb3").empty());
  EXPECT_EQ(hosts.check({}, key('a')).verdict, Verdict::unknown);
}

TEST(SshKnownHosts, ARevocationCountsWhereverItStands) {
  const std::string known = line("lb1", key('a'));
  const std::string revoked = "@revoked " + line("lb1", key('a'));
  EXPECT_EQ(verdict(known + revoked, {"lb1"}, key('a')), Verdict::revoked);
  EXPECT_EQ(verdict(revoked + known, {"lb1"}, key('a')), Verdict::revoked);
  EXPECT_EQ(verdict(revoked + known, {"[lb1]:23", "lb1"}, key('a')), Verdict::revoked);
  EXPECT_EQ(verdict(revoked, {"lb1"}, key('b')), Verdict::unknown);
}

TEST(SshKnownHosts, AnotherPortIsLookedUpFirstAndTheHostAloneAfterIt) {
  EXPECT_EQ(lookup_names("LB1", 22), std::vector<std::string>{"lb1"});
  EXPECT_EQ(lookup_names("::1", 23), (std::vector<std::string>{"[::1]:23", "::1"}));
  EXPECT_EQ(lookup_names("lb1", 23, "Alias"), std::vector<std::string>{"alias"});
  const auto names = lookup_names("lb1", 23);
  const std::string without = line("lb1", key('a'));
  EXPECT_EQ(verdict(without, names, key('a')), Verdict::known);
  // As ssh: the host alone can vouch for a key, and is no reason to refuse one.
  EXPECT_EQ(verdict(without, names, key('b')), Verdict::unknown);
  EXPECT_EQ(verdict(without + line("[lb1]:23", key('b')), names, key('a')), Verdict::changed);
  EXPECT_EQ(verdict(line("[lb1]:23", key('a')), {"lb1"}, key('a')), Verdict::unknown);
}

TEST(SshKnownHosts, BadLinesAreSkippedAndCounted) {
  const std::string good = line("lb1", key('a'));
  const std::string blob = encode_base64(key('b'));
  for (const std::string& bad : std::vector<std::string>{
           "", "lb1", "lb1 ssh-ed25519", "lb1 ssh-ed25519 !!!!", "lb1 ssh-rsa " + blob,
           "lb1 ssh-ed25519 " + blob.substr(1), "@unknown lb1 ssh-ed25519 " + blob,
           "@cert-authority lb1 ssh-ed25519 " + blob, "|1|x|y ssh-ed25519 " + blob,
           "@revoked @revoked lb1 ssh-ed25519 " + blob, "lb1 2048 35 1234",
           "#lb1 ssh-ed25519 " + blob, "|2|AAAA|AAAA ssh-ed25519 " + blob,
           "lb1 ssh-ed25519 ===="}) {
    const auto hosts = KnownHosts::parse(bad + "\n" + good, "f");
    EXPECT_EQ(hosts.check({"lb1"}, key('b')).verdict, Verdict::changed) << bad;
    EXPECT_EQ(hosts.check({"lb1"}, key('a')).line, 2U) << bad;
  }
  EXPECT_EQ(verdict(" \tlb1\t ssh-ed25519  " + blob + "  a comment\r\n", {"lb1"}, key('b')),
            Verdict::known);
}

TEST(SshKnownHosts, FingerprintsAreThoseOfSshKeygen) {
  const auto blob = decode_base64(real_key);
  ASSERT_TRUE(blob);
  EXPECT_EQ(key_type(*blob), "ssh-ed25519");
  EXPECT_EQ(fingerprint(*blob), "SHA256:VSn9NjVbTLtc6KI7fgsZVlTs2MMve0Ev32pBML/1BMQ");
  EXPECT_EQ(key_type(""), "");
  EXPECT_EQ(key_type(std::string("\0\0\0\x09only", 8)), "");
}

TEST(SshKnownHosts, Base64IsStrict) {
  for (const std::string& bytes : std::vector<std::string>{"", "a", "ab", "abc", "abcd"}) {
    EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
  }
  for (const char* text : {"a", "YQ", "YQ=", "Y===", "YQ= =", " YQ=", "YQ==\n\n\n\n", "=YQ="}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

class SshKnownHostsFile : public SshFolder {
 protected:
  /// The numbers of the lines that ssh-keygen finds, those of authorities left out.
  static std::set<unsigned> found_by_ssh(const std::string& file, const std::string& name) {
    const auto ran = run(fmt::format("ssh-keygen -F '{}' -f {}", name, file));
    std::set<unsigned> numbers;
    std::istringstream lines(ran.output);
    for (std::string text; std::getline(lines, text);) {
      const auto at = text.find(" found: line ");
      if (!text.starts_with("# ") || at == std::string::npos || text.ends_with("CA")) continue;
      numbers.insert(static_cast<unsigned>(std::stoul(text.substr(at + 13))));
    }
    return numbers;
  }

  /// `count` lines, of which line n has key n.
  static std::set<unsigned> found_by_us(const std::string& file, const std::string& name,
                                        unsigned count) {
    const auto hosts = KnownHosts::load({file});
    std::set<unsigned> numbers;
    for (unsigned n = 1; n <= count; ++n) {
      const auto found = hosts.check({name}, key(static_cast<char>(n)));
      if (found.verdict != Verdict::known && found.verdict != Verdict::revoked) continue;
      EXPECT_EQ(found.line, n);
      numbers.insert(found.line);
    }
    return numbers;
  }
};

TEST_F(SshKnownHostsFile, FindsTheLinesThatSshKeygenFinds) {
  const std::vector<std::string> names{"lb1",          "lb1,lb2",
                                       "*.example",    "!a.example,*.example",
                                       "[lb1]:23",     "192.0.2.?",
                                       "[lb*]:*",      "LB1",
                                       "@revoked lb3", "@cert-authority *",
                                       "::1",          "[::1]:23",
                                       "*,!*.*",       "!lb1",
                                       "lb1,!lb1",     "lb?",
                                       "[lb1]:22",     "*"};
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += line(names[i], key(static_cast<char>(i + 1)));
  }
  const auto count = static_cast<unsigned>(names.size());
  const std::string file = write("known_hosts", text);
  for (const char* name : {"lb1", "lb2", "lb3", "a.example", "b.example", "[lb1]:23", "[lb2]:24",
                           "192.0.2.7", "::1", "[::1]:23", "other", "[lb1]:22"}) {
    EXPECT_EQ(found_by_us(file, name, count), found_by_ssh(file, name)) << name;
  }
}

TEST_F(SshKnownHostsFile, FindsNamesThatSshKeygenHid) {
  std::string text;
  const std::vector<std::string> names{"lb1", "lb2.example", "[lb1]:23", "::1"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += line(names[i], key(static_cast<char>(i + 1)));
  }
  const std::string file = write("known_hosts", text);
  ASSERT_TRUE(run("ssh-keygen -H -f " + file).well);
  // Not by looking for a name: the hash of one may have its letters by chance.
  std::istringstream lines(read(file));
  for (std::string one; std::getline(lines, one);) ASSERT_TRUE(one.starts_with("|1|")) << one;
  for (const auto& name : names) {
    const auto found = found_by_us(file, name, 4);
    EXPECT_EQ(found.size(), 1U);
    EXPECT_EQ(found, found_by_ssh(file, name));
    EXPECT_EQ(KnownHosts::load({file}).key_types(name).size(), 1U);
    EXPECT_EQ(KnownHosts::load({file}).check({name}, key('x')).verdict, Verdict::changed);
  }
  EXPECT_TRUE(found_by_us(file, "lb3", 4).empty());
}

TEST_F(SshKnownHostsFile, SeveralFilesAreOneAndMissingOnesNone) {
  const std::string one = write("one", line("lb1", key('a')));
  const std::string two = write("two", "\n" + line("lb1", key('b')));
  const auto hosts = KnownHosts::load({one, (folder_ / "none").string(), folder_.string(), two});
  const auto found = hosts.check({"lb1"}, key('b'));
  EXPECT_EQ(std::tuple(found.verdict, found.file, found.line), std::tuple(Verdict::known, two, 2U));
  EXPECT_EQ(hosts.check({"lb1"}, key('c')).file, one);
  EXPECT_EQ(hosts.unread(), std::vector{folder_.string() + ": a folder, not a plain file"});
}

TEST_F(SshKnownHostsFile, AFifoADeviceOrAHugeFileIsNamedAndNotWaitedFor) {
  const std::string fifo = (folder_ / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string huge = write("huge", "");
  std::filesystem::resize_file(huge, std::uintmax_t{2} << 30U);
  const auto hosts = KnownHosts::load({fifo, "/dev/zero", huge, "/dev/null", "none"});
  EXPECT_EQ(hosts.unread(), (std::vector<std::string>{fifo + ": a FIFO, not a plain file",
                                                      "/dev/zero: a device, not a plain file",
                                                      huge + ": larger than 16777216 bytes"}));
  const auto error = append_known_hosts_line(fifo, "a b c\n");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message, "cannot open " + fifo + ": a FIFO, not a plain file");
}

TEST_F(SshKnownHostsFile, AppendsLinesThatSshKeygenFinds) {
  const std::string file = (folder_ / ".ssh" / "known_hosts").string();
  const auto blob = decode_base64(real_key);
  ASSERT_TRUE(blob);
  EXPECT_FALSE(append_known_hosts_line(file, known_hosts_line("lb1", *blob, false)));
  EXPECT_EQ(read(file), fmt::format("lb1 ssh-ed25519 {}\n", real_key));
  EXPECT_FALSE(append_known_hosts_line(file, known_hosts_line("[lb1]:23", *blob, true)));
  EXPECT_EQ(found_by_ssh(file, "lb1"), std::set{1U});
  EXPECT_EQ(found_by_ssh(file, "[lb1]:23"), std::set{2U});
  EXPECT_EQ(read(file).find("[lb1]"), std::string::npos);
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat((folder_ / ".ssh").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST_F(SshKnownHostsFile, AppendsToALineWithoutItsEnd) {
  const std::string file = write("known_hosts", "# no line feed");
  EXPECT_FALSE(append_known_hosts_line(file, "a b c\n"));
  EXPECT_FALSE(append_known_hosts_line(file, "d e f\n"));
  EXPECT_EQ(read(file), "# no line feed\na b c\nd e f\n");
}

TEST_F(SshKnownHostsFile, SaysWhereItCannotAppend) {
  const std::string file = write("file", "");
  for (const auto& path : {file + "/known_hosts", (folder_ / "a" / "b" / "c").string(),
                           folder_.string(), std::string("/dev/full")}) {
    const auto error = append_known_hosts_line(path, "a b c\n");
    ASSERT_TRUE(error) << path;
    EXPECT_EQ(error->code, Errc::system_error);
    EXPECT_NE(error->message.find("cannot"), std::string::npos);
  }
}

}  // namespace
}  // namespace stillgate::transport::ssh
