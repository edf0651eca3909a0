// Where a process finds its own control group, by what the kernel says in /proc.
#include "leash/group.hpp"

#include <gtest/gtest.h>

namespace stillgate::leash {
namespace {

constexpr auto unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
constexpr auto hybrid =
    "30 24 0:27 / /sys/fs/cgroup ro shared:7 - tmpfs tmpfs ro\n"
    "31 30 0:28 / /sys/fs/cgroup/unified rw shared:8 - cgroup2 cgroup2 rw\n"
    "32 30 0:29 / /sys/fs/cgroup/freezer rw shared:9 - cgroup cgroup rw,freezer\n";

TEST(Group, OfAServiceLiesBelowTheMount) {
  EXPECT_EQ(own_group("0::/system.slice/ci.service\n", unified),
            "/sys/fs/cgroup/system.slice/ci.service");
}

TEST(Group, IsFoundBesideTheFirstVersion) {
  EXPECT_EQ(own_group("9:freezer:/a\n0::/b\n", hybrid), "/sys/fs/cgroup/unified/b");
}

TEST(Group, AtTheRootIsTheMountItself) {
  EXPECT_EQ(own_group("0::/\n", unified), "/sys/fs/cgroup");
}

TEST(Group, IsNoneWhereNoneIsSeen) {
  EXPECT_EQ(own_group("", unified), "");
  EXPECT_EQ(own_group("9:freezer:/a\n", unified), "");
  EXPECT_EQ(own_group("0::/a\n", ""), "");
  EXPECT_EQ(own_group("0::/../a\n", unified), "");
  EXPECT_EQ(own_group("0::/a\n", "29 23 0:26 /b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), "");
}

}  // namespace
}  // namespace stillgate::leash
