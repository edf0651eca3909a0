// A hold as an object: a fleet, the report of its suspend, and a resume at its end.
#include <stillgate/held_fleet.hpp>

#include <exception>
#include <utility>

#include "check_options.hpp"

namespace stillgate {

struct HeldFleet::State {
  Fleet fleet;
  std::vector<std::string> frontends;
  Report report;
  bool held{false};
};

Result<HeldFleet> Fleet::hold(const std::vector<std::string>& frontends,
                              const SuspendOptions& options, const std::stop_token& stop) {
  // Whatever fails behind the suspend finds something whose end releases.
  HeldFleet made(std::make_unique<HeldFleet::State>(
      HeldFleet::State{Fleet(state_), frontends, Report{}, false}));
  auto report = suspend(frontends, options, stop);
  if (!report) return report.error();
  // What the suspend could not take back is tried once more at the end.
  made.state_->held = report->ok() || (report->error && report->error->code == Errc::still_held);
  made.state_->report = *std::move(report);
  return made;
}

HeldFleet::HeldFleet(std::unique_ptr<State> state) : state_(std::move(state)) {}
HeldFleet::HeldFleet(HeldFleet&&) noexcept = default;

HeldFleet& HeldFleet::operator=(HeldFleet&& other) noexcept {
  // What this one held ends with `ended`.
  HeldFleet ended(std::exchange(state_, std::exchange(other.state_, nullptr)));
  return *this;
}

HeldFleet::~HeldFleet() {
  if (!held()) return;
  try {
    (void)release();
  } catch (const std::exception&) {
    // The deadline ends it.
  }
}

bool HeldFleet::held() const noexcept { return state_ && state_->held; }

const Report& HeldFleet::report() const noexcept { return state_->report; }

Result<Report> HeldFleet::release(ResumeOptions options, const std::stop_token& stop) {
  if (!held()) return fleet::input(Errc::bad_option, "release", "nothing is held by this object");
  options.hold = state_->report.holds.front().id;
  auto report = state_->fleet.resume(state_->frontends, options, stop);
  if (report && (report->ok() || report->ending == Ending::too_late)) state_->held = false;
  return report;
}

}  // namespace stillgate
