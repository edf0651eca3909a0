// Other programs that answer, fail, hang, or are not there.
#include "fleet/ask_program.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds long_enough{60'000};

TEST(AskProgram, GivesWhatIsWritten) {
  const auto told = ask_program({"sh", "-c", "echo one; echo two >&2"}, long_enough, {});
  EXPECT_TRUE(told.ended_well);
  EXPECT_EQ(told.text, "one\ntwo");
}

TEST(AskProgram, AFailureHasItsWords) {
  const auto told = ask_program({"sh", "-c", "echo no >&2; exit 3"}, long_enough, {});
  EXPECT_FALSE(told.ended_well);
  EXPECT_EQ(told.text, "no");
}

TEST(AskProgram, WhatIsNotThereIsToldInTheSystemsWords) {
  const auto told = ask_program({"/nowhere/program"}, long_enough, {});
  EXPECT_FALSE(told.ended_well);
  EXPECT_EQ(told.text, "No such file or directory");
}

/// Dead, though perhaps nobody has reaped it.
bool is_dead(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t name_end = text.rfind(')');
  return name_end == std::string::npos || text.substr(name_end + 2, 1) == "Z";
}

TEST(AskProgram, WhatHangsIsKilledWithWhatItStarted) {
  const auto told = ask_program({"sh", "-c", "sleep 1000 & echo $!; wait"}, milliseconds(300), {});
  EXPECT_FALSE(told.ended_well);
  ASSERT_NE(told.text.find("no answer in time"), std::string::npos);
  const std::string child = told.text.substr(0, told.text.find('\n'));
  while (!is_dead(child)) std::this_thread::yield();
}

TEST(AskProgram, AStopEndsIt) {
  std::stop_source source;
  source.request_stop();
  EXPECT_FALSE(ask_program({"sleep", "1000"}, long_enough, source.get_token()).ended_well);
}

TEST(AskProgram, HasNoStandardInput) { EXPECT_EQ(ask_program({"cat"}, long_enough, {}).text, ""); }

}  // namespace
}  // namespace stillgate::fleet
