// The state of the hold and the reports of its endpoints.
#include "hold_state.hpp"

#include <algorithm>

namespace stillgate::guard {

using hold::GuardMode;
using std::chrono::milliseconds;

HoldState::HoldState(fleet::GuardOrder order, const std::vector<std::string>& urls)
    : order_(std::move(order)), endpoints_(urls.size()) {
  const auto& switches = order_.record.switches;
  for (std::size_t place = 0; place < switches.size(); ++place) {
    const auto found = std::find(urls.begin(), urls.end(), switches[place].endpoint);
    const auto number = static_cast<std::size_t>(found - urls.begin());
    endpoints_[number].switches.push_back(place);
  }
}

hold::GuardInput HoldState::input(milliseconds now) const {
  return {order_.mode, now, order_.deadline, std::chrono::system_clock::now(), over_};
}

bool HoldState::is_ending(milliseconds now) const {
  return order_.mode == GuardMode::ending || now >= order_.deadline;
}

void HoldState::update(std::size_t endpoint, hold::GuardPlan& plan) {
  EndpointState& state = endpoints_[endpoint];
  state.surveyed = plan.surveyed();
  if (state.error != plan.error()) state.error = plan.error();
  for (hold::GuardNotice& notice : plan.take_notices()) {
    notices_.push_back({endpoint, std::move(notice)});
  }
  for (std::size_t i = 0; i < state.switches.size(); ++i) {
    hold::HeldSwitch& known = order_.record.switches[state.switches[i]];
    const hold::HeldSwitch& held = plan.switches()[i].held;
    if (known == held) continue;
    known = held;
    ++revision_;
  }
  if (plan.resumed()) set_over();
}

void HoldState::set_backed(std::size_t endpoint, bool backed) {
  endpoints_[endpoint].backed = backed;
}

void HoldState::set_finished(std::size_t endpoint) {
  if (!std::exchange(endpoints_[endpoint].finished, true)) ++finished_;
}

std::vector<HoldState::Notice> HoldState::take_notices() { return std::exchange(notices_, {}); }

void HoldState::set_mode(GuardMode mode) {
  if (order_.mode == mode) return;
  order_.mode = mode;
  change();
}

void HoldState::set_over() {
  if (over_) return;
  over_ = true;
  change();
}

void HoldState::extend(WallTime deadline) {
  if (!order_.record.deadline || deadline <= *order_.record.deadline) return;
  order_.deadline += std::chrono::ceil<milliseconds>(deadline - *order_.record.deadline);
  order_.record.deadline = deadline;
  change();
}

bool HoldState::all_surveyed() const {
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [](const EndpointState& state) { return state.surveyed || state.finished; });
}

std::optional<std::pair<std::size_t, Error>> HoldState::first_error() const {
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].error) return std::pair(i, *endpoints_[i].error);
  }
  return std::nullopt;
}

bool HoldState::all_backing_known() const {
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [](const EndpointState& state) { return state.backed || state.finished; });
}

std::vector<std::size_t> HoldState::backed_endpoints() const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].backed.value_or(false)) found.push_back(i);
  }
  return found;
}

void HoldState::change() {
  ++changes_;
  ++revision_;
}

}  // namespace stillgate::guard
