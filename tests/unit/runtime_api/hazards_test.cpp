// The table of the resume crash, at both borders of each of its rows.
#include <gtest/gtest.h>

#include "runtime_api/hazards.hpp"

namespace stillgate::runtime_api {
namespace {

struct Border {
  const char* version;
  bool crashes;
  const char* fixed_in;
};

class ResumeCrashTable : public testing::TestWithParam<Border> {};

TEST_P(ResumeCrashTable, HoldsAtItsBorder) {
  const auto crash = resume_crash(GetParam().version);
  EXPECT_EQ(crash.has_value(), GetParam().crashes);
  if (!crash) return;
  EXPECT_EQ(crash->fixed_in, GetParam().fixed_in);
  EXPECT_NE(crash->why.find(GetParam().version), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Facts, ResumeCrashTable,
    testing::Values(Border{"1.5.19", false, ""}, Border{"1.8.30", false, ""},
                    Border{"2.0.31", false, ""}, Border{"2.2.9-2+deb11u7", false, ""},
                    Border{"2.4.18", false, ""}, Border{"2.4.19", true, "2.4.28"},
                    Border{"2.4.27", true, "2.4.28"}, Border{"2.4.28", false, ""},
                    Border{"2.5.0", true, ""}, Border{"2.5.14", true, ""},
                    Border{"2.6.5", false, ""}, Border{"2.6.6", true, "2.6.20"},
                    Border{"2.6.12-1+deb12u4", true, "2.6.20"}, Border{"2.6.19", true, "2.6.20"},
                    Border{"2.6.20", false, ""}, Border{"2.7.0", true, ""},
                    Border{"2.7.12", true, ""}, Border{"2.8.0", true, "2.8.12"},
                    Border{"2.8.11", true, "2.8.12"}, Border{"2.8.12", false, ""},
                    Border{"2.9.0", true, "2.9.12"}, Border{"2.9.11", true, "2.9.12"},
                    Border{"2.9.12", false, ""}, Border{"3.0-dev3", true, "3.0.6"},
                    Border{"3.0.0", true, "3.0.6"}, Border{"3.0.5", true, "3.0.6"},
                    Border{"3.0.6", false, ""}, Border{"3.0.11-1+deb13u5", false, ""},
                    Border{"3.1-dev1", true, "3.1-dev9"}, Border{"3.1-dev8", true, "3.1-dev9"},
                    Border{"3.1-dev9", false, ""}, Border{"3.1.0", false, ""},
                    Border{"3.2.26-1", false, ""}, Border{"3.4.0", false, ""},
                    Border{"what is this", true, ""}));

}  // namespace
}  // namespace stillgate::runtime_api
