// The lock of a cutover: by its name and by each of its HAProxies, for as long as its holder lives.
#include "fleet/cutover_lock.hpp"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

class CutoverLockTest : public testing::Test {
 protected:
  CutoverLockTest() {
    std::string name = "/tmp/stillgate-lock-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~CutoverLockTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] Result<CutoverLock> take(const std::string& name,
                                         const std::vector<std::string>& endpoints) const {
    return CutoverLock::take(folder_, name, endpoints);
  }

  std::filesystem::path folder_;
};

TEST_F(CutoverLockTest, OneOfANameAndOneAtAnHAProxy) {
  std::optional<Result<CutoverLock>> first = take("green", {"unix:///a", "unix:///b"});
  ASSERT_TRUE(*first);
  const auto same = take("green", {"unix:///c"});
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().code, Errc::cutover_busy);
  const auto crossing = take("blue", {"unix:///c", "unix:///b"});
  ASSERT_FALSE(crossing);
  EXPECT_EQ(crossing.error().message,
            "another cutover at unix:///b on this machine is under way; nothing was changed; wait "
            "until it is done");
  EXPECT_TRUE(take("blue", {"unix:///c"})) << "another fleet";
  first.reset();
  EXPECT_TRUE(take("green", {"unix:///a", "unix:///b"}));
}

TEST_F(CutoverLockTest, ADeadHolderHasNone) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto held = take("green", {"unix:///a"});
    ::_exit(held ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(take("green", {"unix:///a"}));
}

}  // namespace
}  // namespace stillgate::fleet
