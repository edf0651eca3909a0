// Carrying out the guard's plan at one endpoint.
#include "endpoint_thread.hpp"

#include <algorithm>
#include <utility>

#include "fleet/boot_clock.hpp"
#include "fleet/journal.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::guard {

using std::chrono::milliseconds;

namespace {

/// Short, because a connection that hangs may be replaced, and long enough for an HAProxy that
/// answers half a second late.
FleetOptions short_timeouts() {
  FleetOptions options;
  options.connect_timeout = milliseconds(1000);
  options.greeting_timeout = milliseconds(1500);
  options.reply_timeout = milliseconds(1500);
  return options;
}

constexpr milliseconds wait_line_timeout{300};

}  // namespace

EndpointThread::EndpointThread(SharedState& state, std::size_t number, Endpoint endpoint,
                               hold::Record record, milliseconds first_wait)
    : state_(state),
      number_(number),
      endpoint_{std::move(endpoint)},
      options_(short_timeouts()),
      first_wait_(first_wait),
      plan_(endpoint_[0].url(), std::move(record)),
      thread_([this] { run(); }) {}

void EndpointThread::interrupt() {
  const std::scoped_lock lock(mutex_);
  stop_.request_stop();
}

void EndpointThread::run() {
  std::optional<runtime_api::Answer> answer;
  std::optional<std::vector<hold::Record>> journal;
  while (!state_.dismissed()) {
    auto input = state_.input();
    input.journal = journal ? &*journal : nullptr;
    const auto step = plan_.next(input, answer ? &*answer : nullptr);
    if (const auto deadline = plan_.extended()) state_.extend(*deadline);
    state_.update(number_, plan_);
    if (const auto backed = plan_.backed()) state_.set_backed(number_, *backed);
    answer.reset();
    journal.reset();
    if (const auto* wanted = std::get_if<hold::guard_step::Ask>(&step)) {
      answer = ask(*wanted);
    } else if (const auto* wait = std::get_if<hold::guard_step::Wait>(&step)) {
      const auto first = std::exchange(first_wait_, std::nullopt);
      state_.wait_until(first ? std::min(wait->until, input.now + *first) : wait->until);
    } else if (const auto* line = std::get_if<hold::guard_step::Arm>(&step)) {
      answer = arm(*line);
    } else if (std::holds_alternative<hold::guard_step::Disarm>(step)) {
      held_line_.reset();
    } else if (std::holds_alternative<hold::guard_step::ReadJournal>(step)) {
      journal = fleet::Journal(state_.order().state_folder).load().records;
    } else {
      break;
    }
  }
  held_line_.reset();
  session_.reset();
  state_.set_finished(number_);
}

/// A new connection replaces the kept one only once it was answered.
runtime_api::Answer EndpointThread::ask(const hold::guard_step::Ask& wanted) {
  std::stop_token stop;
  {
    const std::scoped_lock lock(mutex_);
    stop_ = std::stop_source();
    if (!wanted.release) stop = stop_.get_token();
  }
  runtime_api::Batch batch;
  batch.work.push_back(wanted.commands);
  if (session_ && !wanted.fresh) return std::move(session_->run(batch, stop)[0]);
  auto fresh = std::make_unique<engine::Session>(endpoint_, options_, progress_);
  auto answer = std::move(fresh->run(batch, stop)[0]);
  if (!answer.error || !session_) session_ = std::move(fresh);
  return answer;
}

/// HAProxy's own `wait` as a second line: it fires where this machine is frozen or cut off, and
/// nobody closes the connection.
runtime_api::Answer EndpointThread::arm(const hold::guard_step::Arm& wanted) {
  runtime_api::Answer answer;
  held_line_ = std::make_unique<engine::HeldLine>(endpoint_[0]);
  answer.error = held_line_->send(wanted.line, wait_line_timeout);
  if (answer.error) held_line_.reset();
  return answer;
}

}  // namespace stillgate::guard
