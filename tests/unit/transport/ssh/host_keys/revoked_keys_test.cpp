// RevokedHostKeys: lists in text, and KRLs as ssh-keygen makes and queries them.
#include "transport/ssh/host_keys/revoked_keys.hpp"

#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "fakes/ssh_folder.hpp"
#include "transport/ssh/base/base64.hpp"
#include "transport/ssh/base/wire.hpp"
#include "transport/ssh/host_keys/known_hosts.hpp"

namespace stillgate::transport::ssh {
namespace {

using namespace std::string_literals;
using Line = std::optional<unsigned>;

std::string key(char which) {
  return WireWriter().string("ssh-ed25519").string(std::string(32, which)).bytes();
}

std::string line(const std::string& blob) {
  return fmt::format("{} {}", key_type(blob), encode_base64(blob));
}

TEST(SshRevokedKeys, InTextEachLineIsAKey) {
  const auto keys =
      RevokedKeys::parse("# " + line(key('c')) + "\n\n \t\n" + line(key('a')) + "\n\t " +
                         line(key('b')) + "  a comment\r\n" + line(key('a')));
  EXPECT_EQ(keys.fault(), "");
  EXPECT_EQ(keys.find(key('a')), Line(4));
  EXPECT_EQ(keys.find(key('b')), Line(5));
  EXPECT_EQ(keys.find(key('c')), Line());
  EXPECT_EQ(keys.find(""), Line());
  EXPECT_EQ(RevokedKeys::parse("").fault(), "");
}

TEST(SshRevokedKeys, ALineThatIsNoKeyIsAFaultAndEndsIt) {
  const std::string good = line(key('a')) + "\n";
  const std::string more = "\n" + line(key('c'));
  const std::string blob = encode_base64(key('b'));
  const std::string longer = encode_base64(key('b') + "x");
  for (const std::string& bad : std::vector<std::string>{
           "junk", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!!", "ssh-rsa " + blob,
           "ssh-ed25519 " + blob.substr(4), "ssh-ed25519 " + longer, "ssh-ed25519 " + blob + "x",
           "lb1 ssh-ed25519 " + blob, "@revoked * ssh-ed25519 " + blob,
           "no-pty ssh-ed25519 " + blob,
           "ssh-what " + encode_base64(WireWriter().string("ssh-what").bytes()), "\r", "\0"s,
           "ssh-ed25519-cert-v01@openssh.com " + blob, "SSHKRL"}) {
    const auto keys = RevokedKeys::parse(fmt::format("{}{}{}", good, bad, more));
    EXPECT_TRUE(keys.fault().starts_with("line 2 is not a public key")) << bad;
    EXPECT_EQ(keys.find(key('a')), Line(1)) << bad;
    EXPECT_EQ(keys.find(key('c')), Line()) << bad;
  }
}

/// A KRL of these sections.
std::string krl_with(const std::string& sections) {
  return "SSHKRL\n\0\0\0\0\x01"s + std::string(24, '\0') +
         WireWriter().string("reserved").string("comment").bytes() + sections;
}

std::string section(int type, const std::string& body) {
  return static_cast<char>(type) + WireWriter().string(body).bytes();
}

std::string extension(char critical) {
  return WireWriter().string("what@is").bytes() + critical + WireWriter().string("it").bytes();
}

std::string fault(const std::string& text) { return RevokedKeys::parse(text).fault(); }

/// Of a section of certificates with that one in it.
std::string certificate_fault(int type, const std::string& body) {
  return fault(
      krl_with(section(1, WireWriter().string("").string("").bytes() + section(type, body))));
}

TEST(SshRevokedKeys, AKrlThatIsNotUnderstoodIsAFault) {
  const std::string one = section(2, WireWriter().string(key('a')).bytes());
  EXPECT_EQ(RevokedKeys::parse(krl_with(one)).find(key('a')), Line(0));
  EXPECT_EQ(fault(krl_with("")), "");
  EXPECT_EQ(fault(krl_with(one + section(255, extension(0)))), "");
  EXPECT_EQ(fault(krl_with(one + section(255, extension(1)))),
            "this KRL has an unknown critical extension, 'what@is'");
  EXPECT_EQ(fault(krl_with(section(255, extension(0) + "x"))), "this KRL breaks off");
  EXPECT_EQ(fault(krl_with(one + section(6, ""))), "this KRL has an unknown kind of section, 6");
  EXPECT_EQ(fault(krl_with(one + section(4, key('s')) + WireWriter().string("it").bytes())),
            "this KRL is signed, which OpenSSH no longer supports");
  for (const auto& [type, size] : {std::pair(3, 19), std::pair(3, 32), std::pair(5, 20)}) {
    const auto hash = WireWriter().string(std::string(static_cast<std::size_t>(size), 'h'));
    EXPECT_EQ(fault(krl_with(section(type, hash.bytes()))),
              "this KRL has a hash of the wrong length");
  }
  std::string later = krl_with(one);
  later[11] = 2;
  EXPECT_EQ(fault(later), "this KRL has an unknown format, 2");
  for (const std::string& lying : {"\x02\xff\xff\xff\xff"s, one + "\x02\0\0\0\x01"s,
                                   section(2, "\xff\xff\xff\xff"s), section(2, "\0\0\0"s)}) {
    EXPECT_EQ(fault(krl_with(lying)), "this KRL breaks off");
  }
}

TEST(SshRevokedKeys, WhatAKrlSaysOfCertificatesMustBeWhole) {
  const std::string serial(8, 's');
  const std::string text = WireWriter().string("text").bytes();
  EXPECT_EQ(certificate_fault(0x20, serial + serial + serial), "");
  EXPECT_EQ(certificate_fault(0x21, serial + serial), "");
  EXPECT_EQ(certificate_fault(0x22, serial + text), "");
  EXPECT_EQ(certificate_fault(0x23, text + text), "");
  EXPECT_EQ(certificate_fault(0x39, extension(0)), "");
  for (const auto& [type, body] :
       {std::pair(0x20, serial + "x"), std::pair(0x21, serial), std::pair(0x22, serial),
        std::pair(0x22, serial + text + "x"), std::pair(0x23, text + "x"), std::pair(0x39, text)}) {
    EXPECT_EQ(certificate_fault(type, body), "this KRL breaks off") << type;
  }
  EXPECT_NE(certificate_fault(0x39, extension(1)), "");
  EXPECT_EQ(certificate_fault(0x24, ""), "this KRL has an unknown kind of certificate section, 36");
  EXPECT_EQ(fault(krl_with(section(1, text))), "this KRL breaks off");
}

TEST(SshRevokedKeys, AFileThatCannotBeReadIsAFault) {
  EXPECT_EQ(RevokedKeys::load("/no/such/file").fault(), "No such file or directory");
  EXPECT_EQ(RevokedKeys::load("/").fault(), "a folder, not a plain file");
  EXPECT_EQ(RevokedKeys::load("/dev/zero").fault(), "a device, not a plain file");
  EXPECT_EQ(RevokedKeys::load("/dev/null").fault(), "");
}

class SshRevokedKeysFile : public SshFolder {
 protected:
  std::string make_key(const std::string& name, const std::string& kind = "ed25519") const {
    auto path = (folder_ / name).string();
    const auto ran = run(fmt::format("ssh-keygen -q -t {} -N '' -C {} -f {}", kind, name, path));
    EXPECT_TRUE(ran.well) << ran.output;
    return path;
  }

  static std::string blob_of(const std::string& path) {
    const auto blob = plain_key_of(read(path + ".pub"));
    EXPECT_TRUE(blob) << path;
    return blob.value_or("");
  }

  /// By `ssh-keygen -k` with these arguments. Its text.
  std::string krl(const std::string& arguments) const {
    const auto path = (folder_ / "krl").string();
    const auto ran = run(fmt::format("ssh-keygen -q -k -f {} {}", path, arguments));
    EXPECT_TRUE(ran.well) << ran.output;
    return read(path);
  }

  std::string krl_of(const std::string& specification) const {
    return krl(write("specification", specification));
  }

  static std::string public_line(const std::string& path) { return read(path + ".pub"); }
};

TEST_F(SshRevokedKeysFile, AllTypesOfKeysAreUnderstood) {
  unsigned number = 0;
  for (const char* kind : {"ed25519", "rsa", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521"}) {
    const std::string path = make_key(fmt::format("key{}", ++number), kind);
    const std::string blob = blob_of(path);
    EXPECT_EQ(RevokedKeys::load(path + ".pub").find(blob), Line(1)) << kind;
    const auto in_krl = RevokedKeys::parse(krl(path + ".pub"));
    EXPECT_EQ(in_krl.fault(), "") << kind;
    EXPECT_EQ(in_krl.find(blob), Line(0)) << kind;
  }
}

TEST_F(SshRevokedKeysFile, ACertificateInTextRevokesItsPlainKey) {
  const std::string authority = make_key("authority");
  for (const char* kind : {"ed25519", "ecdsa", "rsa"}) {
    const std::string path = make_key(kind, kind);
    ASSERT_TRUE(run(fmt::format("ssh-keygen -q -s {} -h -I id -z 7 {}.pub", authority, path)).well);
    const auto keys = RevokedKeys::load(path + "-cert.pub");
    EXPECT_EQ(keys.fault(), "");
    EXPECT_EQ(keys.find(blob_of(path)), Line(1)) << kind;
    EXPECT_EQ(keys.find(blob_of(authority)), Line());
    // In a KRL it is the certificate alone.
    const auto in_krl = RevokedKeys::parse(krl(path + "-cert.pub"));
    EXPECT_EQ(in_krl.fault(), "");
    EXPECT_EQ(in_krl.find(blob_of(path)), Line()) << kind;
  }
}

TEST_F(SshRevokedKeysFile, EachKindOfSpecificationIsFound) {
  const std::string one = make_key("one");
  const std::string two = make_key("two", "ecdsa");
  const std::string other = make_key("other");
  for (const std::string& specification : std::vector<std::string>{
           "key: " + public_line(one) + "key: " + public_line(two),
           "sha1: " + public_line(one) + "sha1: " + public_line(two),
           "sha256: " + public_line(one) + "sha256: " + public_line(two),
           "hash: " + fingerprint(blob_of(one)) + "\nhash: " + fingerprint(blob_of(two)) + "\n",
           "sha1: " + public_line(one) + "sha256: " + public_line(two)}) {
    const auto keys = RevokedKeys::parse(krl_of(specification));
    EXPECT_EQ(keys.fault(), "") << specification;
    EXPECT_EQ(keys.find(blob_of(one)), Line(0)) << specification;
    EXPECT_EQ(keys.find(blob_of(two)), Line(0)) << specification;
    EXPECT_EQ(keys.find(blob_of(other)), Line()) << specification;
  }
}

TEST_F(SshRevokedKeysFile, WhatItSaysOfCertificatesIsPassedOver) {
  const std::string authority = make_key("authority");
  const std::string one = make_key("one");
  // Ranges, lists and bitmaps of serials, and identities.
  std::string text =
      "serial: 1-4000000000\nserial: 5000000000\nserial: 0x8000000000000001\n"
      "id: somebody\nid: else\nkey: " +
      public_line(one);
  for (std::uint64_t serial = 5'000'000'010; serial < 5'000'000'060; serial += 2) {
    text += fmt::format("serial: {}\n", serial);
  }
  const auto keys =
      RevokedKeys::parse(krl(fmt::format("-s {}.pub {}", authority, write("specification", text))));
  EXPECT_EQ(keys.fault(), "");
  EXPECT_EQ(keys.find(blob_of(one)), Line(0));
  EXPECT_EQ(keys.find(blob_of(authority)), Line());
}

TEST_F(SshRevokedKeysFile, CutOffAnywhereItIsWhatSshKeygenMakesOfIt) {
  const std::string authority = make_key("authority");
  const std::string one = make_key("one");
  const std::string two = make_key("two");
  const std::string whole = krl(fmt::format(
      "-s {}.pub {}", authority,
      write("specification", "serial: 3-9\nid: me\nkey: " + public_line(one) +
                                 "sha1: " + public_line(one) + "sha256: " + public_line(two))));
  unsigned refused = 0;
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const auto keys = RevokedKeys::parse(whole.substr(0, size));
    const std::string file = write("cut", whole.substr(0, size));
    // It says so of a list that it cannot read, too; where a section ends, what is left is one.
    const bool taken = run(fmt::format("ssh-keygen -Q -f {} {}.pub", file, authority)).well;
    EXPECT_EQ(keys.fault().empty(), taken) << size << ": " << keys.fault();
    refused += keys.fault().empty() ? 0 : 1;
  }
  EXPECT_GT(refused, whole.size() - 8);
  EXPECT_EQ(RevokedKeys::parse(whole).fault(), "");
}

}  // namespace
}  // namespace stillgate::transport::ssh
