// Turning notices into events.
#include "guard_events.hpp"

#include <chrono>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/boot_clock.hpp"
#include "fleet/endpoint_names.hpp"
#include "hold/record/record_time.hpp"

namespace stillgate::guard {
namespace {

EventOptions event_options(const fleet::GuardOrder& order) {
  EventOptions options;
  options.on_event = order.on_event;
  options.format = event_format(order.event_format).value_or(EventFormat::json);
  options.on_line = [](const std::string& line) {
    const std::string text = "event " + line + "\n";
    // Whoever does not listen, or no longer, must not keep the guard from its work.
    (void)!::send(STDOUT_FILENO, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  return options;
}

}  // namespace

GuardEvents::GuardEvents(HoldState& state, Errands& errands, std::vector<std::string> urls)
    : log_(std::make_shared<fleet::EventLog>(
          state.order().state_folder, event_options(state.order()),
          [names = fleet::EndpointNames(state.order().names)](Event& event) mutable {
            names.put_into(event);
          })),
      state_(state),
      errands_(errands),
      urls_(std::move(urls)) {}

void GuardEvents::report(EventKind kind, const std::string& message,
                         std::optional<std::size_t> endpoint, const std::string& frontend) {
  Event happened = event(kind, message);
  if (endpoint) happened.endpoint = urls_[*endpoint];
  if (!frontend.empty()) happened.frontend = frontend;
  write(std::move(happened));
}

void GuardEvents::report_notices() {
  using Kind = hold::GuardNotice::Kind;
  for (const auto& [endpoint, notice] : state_.take_notices()) {
    switch (notice.kind) {
      case Kind::reapplied:
        report(EventKind::reapplied, notice.message, endpoint, notice.frontend);
        break;
      case Kind::lost:
        report(EventKind::endpoint_lost, notice.message, endpoint);
        break;
      case Kind::released:
        if (!released_) released_at_ = std::chrono::system_clock::now();
        released_ = true;
        releases_.push_back(fmt::format("{} at {}", notice.frontend, urls_[endpoint]));
        break;
      case Kind::gone:
        given_up_.push_back(fmt::format("{}: {}", urls_[endpoint], notice.message));
        break;
      case Kind::found:
      case Kind::resumed:
        break;
    }
  }
}

void GuardEvents::report_end(bool last) {
  if (end_reported_ || (!released_ && given_up_.empty())) return;
  const auto& order = state_.order();
  if (!last && !state_.all_finished() && releases_.empty()) return;
  end_reported_ = true;
  std::string message = fmt::format("released by the guard: {}", fmt::join(releases_, ", "));
  if (!given_up_.empty()) message += fmt::format("; {}", fmt::join(given_up_, "; "));
  const bool rolled_back =
      order.mode == hold::GuardMode::ending && engine::boot_time() < order.deadline;
  Event ended = event(rolled_back ? EventKind::rolled_back : EventKind::expired, message);
  if (released_) ended.at = released_at_;
  write(std::move(ended));
}

void GuardEvents::write(Event event) {
  errands_.run([log = log_, event = std::move(event)] { log->report(event); });
}

hold::RecordEnd GuardEvents::end_of_hold(hold::GuardMode mode) const {
  const auto at =
      hold::in_milliseconds(released_ ? released_at_ : std::chrono::system_clock::now());
  if (!released_) return {End::opened, at, {}, false};
  return {mode == hold::GuardMode::ending ? End::guard_ended : End::expired, at, "guard", false};
}

Event GuardEvents::event(EventKind kind, const std::string& message) const {
  Event event;
  event.kind = kind;
  event.at = std::chrono::system_clock::now();
  event.hold = state_.order().record.summary();
  event.source = "guard";
  event.endpoints = urls_;
  event.message = message;
  return event;
}

}  // namespace stillgate::guard
