// Starts the guard of a hold, and passes a plan's messages on to it.
#include "keeper.hpp"

#include <chrono>
#include <utility>

#include "engine/boot_clock.hpp"
#include "engine/ssh_sessions.hpp"
#include "fleet/journal.hpp"

namespace stillgate::fleet {

using hold::GuardMode;
using hold::observed::Guarded;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds start_patience{5000};
constexpr milliseconds hold_patience{2000};

}  // namespace

GuardKeeper::GuardKeeper(std::string state_folder, const EventOptions& events) {
  order_.state_folder = std::move(state_folder);
  order_.on_event = events.on_event;
  order_.event_format = name(events.format);
}

Guarded GuardKeeper::start(const hold::Record& record, const std::stop_token& stop) {
  order_.mode = GuardMode::arming;
  order_.record = record;
  const auto left = *record.deadline - std::chrono::system_clock::now();
  order_.deadline = engine::boot_time() + std::chrono::ceil<milliseconds>(left);
  return begin(stop);
}

Guarded GuardKeeper::begin(const std::stop_token& stop) {
  process_.reset();
  order_.secrets = engine::export_secrets();
  auto started = GuardProcess::start(order_, way_out_, start_patience, stop);
  wipe(order_.secrets);
  if (!started) return {started.error(), {}};
  process_ = *std::move(started);
  return {{}, process_->backed()};
}

Guarded GuardKeeper::tell(hold::step::TellGuard::Word word) {
  using Word = hold::step::TellGuard::Word;
  if (!process_) return {};
  if (word == Word::hold) {
    if (auto error = process_->hold(hold_patience)) return {std::move(error), {}};
    order_.mode = GuardMode::holding;
    return {};
  }
  if (word == Word::leave) {
    process_->dismiss();
  } else {
    process_->end_hold();
  }
  process_.reset();
  return {};
}

std::optional<Error> GuardKeeper::renew(const std::stop_token& stop) {
  const auto [now, is_missing] = Journal(order_.state_folder).find(order_.record.id);
  // Another call may have extended the hold.
  if (now && now->deadline > order_.record.deadline) {
    order_.deadline += std::chrono::ceil<milliseconds>(*now->deadline - *order_.record.deadline);
    order_.record.deadline = now->deadline;
  }
  // A guard that finds the hold ended takes it off the journal and leaves. The next one would do
  // the same, perhaps after it has said that it is ready, and so would all that follow.
  if (is_missing || order_.mode != GuardMode::holding || engine::boot_time() >= order_.deadline) {
    return Error{Errc::deadline_passed,
                 "no hold is in effect to guard; its deadline may have passed"};
  }
  return begin(stop).error;
}

}  // namespace stillgate::fleet
