// The loop between a plan and the world: which clock the plan's time goes by.
#include "fleet/drive.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace stillgate::fleet {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// The test's own; it runs on while whoever reads it is frozen, or the machine sleeps.
milliseconds test_time{0};
milliseconds read_test_time() noexcept { return test_time; }

/// Waits once for no time, and notes what it is told. `during`: what passes meanwhile.
class Waiting final : public hold::Plan {
 public:
  explicit Waiting(milliseconds during) : during_(during) {}

  hold::Step next(const hold::Observation& seen) override {
    elapsed.push_back(seen.elapsed);
    if (elapsed.size() > 2) return hold::step::Done{};
    test_time += during_;
    return hold::step::Wait{milliseconds(0)};
  }

  std::vector<milliseconds> elapsed;

 private:
  milliseconds during_;
};

class DriveTest : public testing::Test {
 protected:
  DriveTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("stillgate-drive-" + std::to_string(::getpid()))),
        events_(folder_, {}),
        guard_(folder_.string(), {}) {}
  ~DriveTest() override { std::filesystem::remove_all(folder_); }

  void drive(hold::Plan& plan) {
    const Journal journal(folder_);
    (void)fleet::drive(plan, journal,
                       {endpoints_, options_, progress_, events_, guard_, names_, read_test_time},
                       {});
  }

 private:
  std::filesystem::path folder_;
  std::vector<Endpoint> endpoints_;
  FleetOptions options_;
  Progress progress_;
  EventLog events_;
  GuardKeeper guard_;
  EndpointNames names_{endpoints_};
};

TEST_F(DriveTest, TimeThatPassesWhileTheCallStandsStillCounts) {
  test_time = hours(100);
  Waiting plan{hours(1)};
  drive(plan);
  EXPECT_EQ(plan.elapsed, (std::vector<milliseconds>{milliseconds(0), hours(1), hours(2)}));
}

TEST_F(DriveTest, NoOtherClockDoes) {
  test_time = hours(100);
  Waiting plan{milliseconds(0)};
  drive(plan);
  EXPECT_EQ(plan.elapsed, std::vector<milliseconds>(3, milliseconds(0)));
}

/// CLOCK_BOOTTIME, which is that of /proc/uptime: the monotonic clock stands still while the
/// machine sleeps.
TEST(BootTime, IsTheKernelsUptime) {
  std::ifstream file("/proc/uptime");
  double before = 0;
  ASSERT_TRUE(file >> before);
  const auto now = std::chrono::duration<double>(engine::boot_time()).count();
  std::ifstream again("/proc/uptime");
  double after = 0;
  ASSERT_TRUE(again >> after);
  // It is told in hundredths, rounded down.
  EXPECT_GE(now, before - 0.001);
  EXPECT_LE(now, after + 0.02);
}

}  // namespace
}  // namespace stillgate::fleet
