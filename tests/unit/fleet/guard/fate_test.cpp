// Who would take a guard along: judged from texts of /proc and systemd, as real ones have them.
#include "fleet/guard/fate.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* status_text =
    "Name:\tmy deploy\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nNgid:\t0\nPid:\t7\nPPid:\t3\n"
    "TracerPid:\t0\nUid:\t0\t0\t0\t0\nNStgid:\t4107\t7\nNSpid:\t4107\t7\nNSpgid:\t4107\t7\n";

TEST(Status, IsRead) {
  const auto status = parse_status(status_text);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->name, "my deploy");
  EXPECT_EQ(status->parent, 3);
  EXPECT_THAT(status->pids, ElementsAre(4107, 7));
}

TEST(Status, AKernelWithoutNamespacesHasOnePid) {
  const auto status = parse_status("Name:\tsh\nPid:\t7\nPPid:\t3\n");
  ASSERT_TRUE(status);
  EXPECT_THAT(status->pids, ElementsAre(7));
}

TEST(Status, WhatIsNoneIsNone) {
  EXPECT_FALSE(parse_status(""));
  EXPECT_FALSE(parse_status("Name:\tsh\nPid:\t7\n"));
  EXPECT_FALSE(parse_status("Name:\tsh\nPPid:\t7\n"));
  EXPECT_FALSE(parse_status("Name:\tsh\nPPid:\t7\nNSpid:\tx\n"));
  EXPECT_FALSE(parse_status("Name:\tsh\nPPid:\tx\nPid:\t1\n"));
}

/// We are 9, started by `between`, which `first` started, which is PID 1.
Descent inside(const std::string& first, const std::string& between = "sh") {
  Descent descent;
  descent.ancestry = {{"stillgate", 5, {9}}, {between, 1, {5}}, {first, 0, {1}}};
  descent.first_name = first;
  return descent;
}

TEST(Container, OnTheMachineItselfNothingEndsTheGuard) {
  Descent descent;
  descent.initial_namespace = true;
  descent.ancestry = {{"stillgate", 1, {9}}, {"sh", 0, {1}}};
  EXPECT_EQ(why_container_ends_it(descent), "");
}

TEST(Container, AsPidOneItEndsWithUs) {
  Descent descent;
  descent.is_first = true;
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("this process is PID 1"));
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("nothing ends the hold"));
}

TEST(Container, AProgramThatStartedUsTakesItAlong) {
  for (const char* first : {"sh", "bash", "tini", "dumb-init", "docker-init", "python3", "node"}) {
    EXPECT_THAT(why_container_ends_it(inside(first)), HasSubstr(std::string("'") + first + "'"));
  }
}

TEST(Container, AnInitOutlivesWhatItStarts) {
  for (const char* first : {"systemd", "init", "init(Debian)", "runit", "s6-svscan", "sshd"}) {
    EXPECT_EQ(why_container_ends_it(inside(first)), "") << first;
  }
  // Only as PID 1.
  EXPECT_NE(why_container_ends_it(inside("sh", "systemd")), "");
}

TEST(Container, WhoEnteredItIsNotStartedByPidOne) {
  Descent descent;
  descent.first_name = "nginx";
  descent.ancestry = {{"stillgate", 5, {9}}, {"sh", 0, {5}}};
  EXPECT_EQ(why_container_ends_it(descent), "");
  descent.runner = "GITLAB_CI";
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("GITLAB_CI is set"));
  descent.runner = "";
  descent.first_name = "pause";
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("shares its PID namespace"));
}

TEST(Container, AProcOfTheNamespaceOutsideTellsTheSame) {
  Descent descent;
  descent.ancestry = {{"stillgate", 105, {109, 9}}, {"sh", 101, {105, 5}}, {"unshare", 1, {101}}};
  EXPECT_EQ(why_container_ends_it(descent), "");
  descent.ancestry = {{"stillgate", 105, {109, 9}}, {"sh", 101, {105, 1}}, {"unshare", 1, {101}}};
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("started by 'sh'"));
}

TEST(Container, WhatCannotBeSeenIsNotTrusted) {
  Descent descent;
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("cannot be seen"));
  descent.ancestry = {{"stillgate", 5, {9}}};  // hidepid: the parent is not shown
  EXPECT_THAT(why_container_ends_it(descent), HasSubstr("cannot be seen"));
}

TEST(Service, IsFoundInBothVersionsOfControlGroups) {
  const std::vector<std::pair<const char*, const char*>> found{
      {"0::/system.slice/chef-client.service\n", "chef-client.service"},
      {"0::/system.slice/system-agent.slice/agent@7.service/payload\n", "agent@7.service"},
      {"12:pids:/x.service\n1:name=systemd:/system.slice/cron.service\n0::/\n", "cron.service"},
      {"1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n", "a.service"},
  };
  for (const auto& [cgroup, name] : found) {
    const auto unit = service_of(cgroup);
    ASSERT_TRUE(unit) << cgroup;
    EXPECT_EQ(unit->name, name);
    EXPECT_FALSE(unit->of_user);
  }
}

TEST(Service, OfAUserIsAskedOfTheUsersManager) {
  const auto unit =
      service_of("0::/user.slice/user-7.slice/user@7.service/app.slice/deploy.service\n");
  ASSERT_TRUE(unit);
  EXPECT_EQ(unit->name, "deploy.service");
  EXPECT_TRUE(unit->of_user);
  EXPECT_THAT(question_about(*unit), testing::Contains("--user"));
  EXPECT_THAT(way_out_of(*unit), testing::Contains("--user"));
}

TEST(Service, OfAUserIsNotTheUsersManagerItself) {
  const auto unit = service_of("0::/user.slice/user-7.slice/user@7.service\n");
  ASSERT_TRUE(unit);
  EXPECT_FALSE(unit->of_user);
}

TEST(Service, AScopeIsNone) {
  for (const char* cgroup :
       {"", "0::/\n", "nonsense\n", "0::/user.slice/user-7.slice/session-3.scope\n",
        "0::/user.slice/user-7.slice/user@7.service/app.slice/terminal-9.scope\n",
        "0::/user.slice/user-7.slice/user@7.service/init.scope\n", "4:memory:/a.service\n",
        "0::/system.slice/docker-0123.scope\n", "1:name=systemd:/docker/0123\n"}) {
    EXPECT_FALSE(service_of(cgroup)) << cgroup;
  }
}

TEST(Service, WhatItLeavesBehindIsEndedBySomeKillModes) {
  EXPECT_EQ(kill_mode("KillMode=control-group\n"), "control-group");
  EXPECT_EQ(kill_mode("KillMode=mixed"), "mixed");
  EXPECT_EQ(kill_mode("KillMode=process\n"), "");
  EXPECT_EQ(kill_mode("KillMode=none\n"), "");
  EXPECT_EQ(kill_mode(""), "unknown");
  EXPECT_EQ(kill_mode("Failed to connect to bus\n"), "unknown");
}

TEST(Service, ThatCannotBeLeftIsTold) {
  const std::string why = why_service_ends_it({"a.service", false}, "mixed", "Access denied");
  EXPECT_THAT(why, HasSubstr("a.service"));
  EXPECT_THAT(why, HasSubstr("KillMode=mixed"));
  EXPECT_THAT(why, HasSubstr("Access denied"));
}

TEST(Runner, ItsMarksAreKnownByTheirWholeName) {
  for (const char* entry : {"BUILD_ID=7", "JENKINS_NODE_COOKIE=a", "JENKINS_SERVER_COOKIE=b",
                            "RUNNER_TRACKING_ID=github_1", "VSTS_PROCESS_LOOKUP_ID=v"}) {
    EXPECT_TRUE(is_mark_of_runner(entry)) << entry;
  }
  for (const char* entry : {"PATH=/bin", "BUILD_ID_OF_OURS=7", "BUILD=7", "SSH_AUTH_SOCK=/a", ""}) {
    EXPECT_FALSE(is_mark_of_runner(entry)) << entry;
  }
  EXPECT_THAT(variables_of_runners(), testing::Not(IsEmpty()));
}

}  // namespace
}  // namespace stillgate::fleet
