// What is told of private keys by their files, on keys that ssh-keygen has made.
#include "transport/ssh/login/key_file.hpp"

#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "fakes/ssh_folder.hpp"
#include "transport/ssh/host_keys/known_hosts.hpp"

namespace stillgate::transport::ssh {
namespace {

class KeyFileTest : public SshFolder {
 protected:
  std::string make(const std::string& kind, const std::string& options = "-N ''") const {
    const std::string path = (folder_ / kind).string();
    const Ran made = run(fmt::format("ssh-keygen -q -t {} {} -f '{}'", kind, options, path));
    EXPECT_TRUE(made.well) << made.output;
    return path;
  }
};

TEST_F(KeyFileTest, TellsBothHalvesOfAnEd25519Key) {
  const std::string path = make("ed25519");
  const auto key = read_key_file(path);
  ASSERT_TRUE(key);
  EXPECT_FALSE(key->encrypted);
  EXPECT_EQ(key->public_blob, public_blob_of(read(path + ".pub")));
  EXPECT_THAT(read(path + ".pub"), testing::StartsWith(key->public_line + " "));
  ASSERT_NE(key->seed, nullptr);
  EXPECT_EQ(key->seed->view().size(), 32U);
}

TEST_F(KeyFileTest, TellsThePublicHalfOfAnEncryptedKeyAlone) {
  const std::string path = make("ed25519", "-N 'a secret'");
  const auto key = read_key_file(path);
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->encrypted);
  EXPECT_EQ(key->public_blob, public_blob_of(read(path + ".pub")));
  EXPECT_EQ(key->seed, nullptr);
}

TEST_F(KeyFileTest, LeavesOtherKindsToTheLibrary) {
  const auto ecdsa = read_key_file(make("ecdsa"));
  ASSERT_TRUE(ecdsa);
  EXPECT_EQ(key_type(ecdsa->public_blob), "ecdsa-sha2-nistp256");
  EXPECT_EQ(ecdsa->seed, nullptr);
  const auto rsa = read_key_file(make("rsa", "-b 2048 -N ''"));
  ASSERT_TRUE(rsa);
  EXPECT_TRUE(rsa->is_rsa());
  EXPECT_EQ(rsa->seed, nullptr);
}

TEST_F(KeyFileTest, TakesThePublicHalfOfAPemKeyFromBesideIt) {
  const std::string path = make("ecdsa", "-m PEM -N ''");
  const auto key = read_key_file(path);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->public_blob, public_blob_of(read(path + ".pub")));
  // It may be another key's: the library finds the true one.
  EXPECT_TRUE(key->public_line.empty());
}

TEST_F(KeyFileTest, KnowsAnEncryptedPemKey) {
  const auto key = read_key_file(make("ecdsa", "-m PEM -N 'a secret'"));
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->encrypted);
}

TEST_F(KeyFileTest, AFileThatIsMissingIsNone) {
  EXPECT_FALSE(read_key_file((folder_ / "none").string()));
}

TEST_F(KeyFileTest, AKeyThatOthersCanReadIsRefused) {
  const std::string path = make("ed25519");
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto key = read_key_file(path);
  ASSERT_FALSE(key);
  EXPECT_THAT(key.fault.why, testing::EndsWith("mode 0644): chmod go= '" + path + "'"));
  // What ssh itself says of it.
  EXPECT_THAT(run("ssh-keygen -y -P '' -f '" + path + "'").output,
              testing::HasSubstr("Permissions 0644 for"));
}

TEST_F(KeyFileTest, AFifoOrADeviceIsNotWaitedFor) {
  const std::string path = (folder_ / "fifo").string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(read_key_file(path).fault.why, "a FIFO, not a plain file");
  EXPECT_EQ(read_key_file("/dev/zero").fault.why, "a device, not a plain file");
}

/// Each cut of a whole key: nothing is read beyond its end, and no half of a seed is one.
TEST_F(KeyFileTest, ACutKeyHasNoSeed) {
  const std::string whole = read(make("ed25519"));
  ASSERT_NE(inspect_key(whole).seed, nullptr);
  const std::size_t key_bytes = whole.find("-----END");
  // The comment and the padding come last, and the seed does not need them.
  for (std::size_t size = 0; size < key_bytes / 2; ++size) {
    EXPECT_EQ(inspect_key(whole.substr(0, size)).seed, nullptr) << size;
  }
}

}  // namespace
}  // namespace stillgate::transport::ssh
