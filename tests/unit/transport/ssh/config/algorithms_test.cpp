// OpenSSH's algorithms: which lists ssh takes, held against ssh itself, and what it makes of them.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "fakes/ssh_folder.hpp"
#include "transport/ssh/config/algorithms.hpp"

namespace stillgate::transport::ssh {
namespace {

struct Known {
  AlgorithmKind kind;
  const char* keyword;
};

class AlgorithmsTest : public SshFolder, public testing::WithParamInterface<Known> {
 protected:
  static bool ssh_takes(const std::string& list) {
    return run(fmt::format("ssh -G -F none -o '{}={}' lb1", GetParam().keyword, list)).well;
  }
};

/// A later release's names are in our table, too: they are no mistake in a configuration.
TEST_P(AlgorithmsTest, HasAllThatSshHas) {
  const auto ran = run(fmt::format("ssh -Q {}", GetParam().keyword));
  ASSERT_TRUE(ran.well) << ran.output;
  std::istringstream names(ran.output);
  unsigned count = 0;
  for (std::string name; names >> name; ++count) {
    EXPECT_TRUE(valid_algorithms(GetParam().kind, name)) << name;
    EXPECT_EQ(assemble_algorithms(GetParam().kind, name), std::vector<std::string>{name});
  }
  EXPECT_GT(count, 8);
}

TEST_P(AlgorithmsTest, AreRefusedWhereSshRefusesThem) {
  const std::string good = assemble_algorithms(GetParam().kind, "").back();
  const std::vector<std::string> lists{good,
                                       "+" + good,
                                       "^" + good,
                                       "-" + good,
                                       good + "," + good,
                                       good + ",",
                                       "none",
                                       "arcfour",
                                       "blowfish-cbc",
                                       "hmac-ripemd160",
                                       "+none",
                                       good + ",nonsense",
                                       "nonsense",
                                       "+nonsense",
                                       "^nonsense",
                                       "-nonsense",
                                       "-*",
                                       "+",
                                       "^",
                                       "-",
                                       "ssh-*",
                                       "+ssh-*",
                                       "-ssh-*",
                                       "*-cbc",
                                       "-*-cbc,*-ctr",
                                       "AES128-CTR",
                                       "*-nistp256",
                                       "+hmac-md5*",
                                       "-*sha1*"};
  for (const std::string& list : lists) {
    const bool ours =
        valid_algorithms(GetParam().kind, list) &&
        (list.starts_with('-') || !assemble_algorithms(GetParam().kind, list).empty());
    EXPECT_EQ(ours, ssh_takes(list)) << GetParam().keyword << ' ' << list;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, AlgorithmsTest,
    testing::Values(Known{AlgorithmKind::key_exchange, "KexAlgorithms"},
                    Known{AlgorithmKind::host_key, "HostKeyAlgorithms"},
                    Known{AlgorithmKind::cipher, "Ciphers"}, Known{AlgorithmKind::mac, "MACs"},
                    Known{AlgorithmKind::public_key, "PubkeyAcceptedAlgorithms"}),
    [](const auto& each) { return std::string(each.param.keyword); });

TEST(Algorithms, AnExclusionOfAKeyIsRefused) {
  // ssh reads it, and then cannot use it.
  EXPECT_FALSE(valid_algorithms(AlgorithmKind::host_key, "!ssh-rsa"));
  EXPECT_FALSE(valid_algorithms(AlgorithmKind::public_key, "ssh-ed25519,!ssh-*"));
}

TEST(Algorithms, OfLaterReleasesAreKnown) {
  EXPECT_TRUE(valid_algorithms(AlgorithmKind::key_exchange, "mlkem768x25519-sha256"));
}

}  // namespace
}  // namespace stillgate::transport::ssh
