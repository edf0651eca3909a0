// Carrying out the guard's plan at one endpoint.
#include "guarded_endpoint.hpp"

#include <algorithm>
#include <utility>

namespace stillgate::guard {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds wait_line_timeout{300};
/// Whether a line has been sent is looked at in such pauses, where that takes time.
constexpr milliseconds line_pause{2};
constexpr milliseconds never = milliseconds::max();

}  // namespace

GuardedEndpoint::GuardedEndpoint(const Surroundings& around, std::size_t number, Endpoint endpoint,
                                 hold::Record record, milliseconds first_wait, Call on_ready)
    : around_(around),
      number_(number),
      endpoint_(std::move(endpoint)),
      first_wait_(first_wait),
      on_ready_(std::move(on_ready)),
      plan_(endpoint_.url(), std::move(record)),
      session_(endpoint_, around.loop, around.options, [this] { on_ready_(*this); }) {}

void GuardedEndpoint::step(milliseconds now) noexcept {
  if (doing_ == Doing::nothing) return;
  try {
    continue_plan(now);
  } catch (const std::exception& error) {
    note_exception(now, error.what());
  } catch (...) {
    note_exception(now, "an unknown exception");
  }
  set_due(now);
}

void GuardedEndpoint::continue_plan(milliseconds now) {
  while (doing_ != Doing::nothing && !is_held_up(now)) take_step(now);
}

/// A survey that hangs must not keep its endpoint from the release.
bool GuardedEndpoint::is_held_up(milliseconds now) {
  switch (doing_) {
    case Doing::asking:
      if (may_interrupt_ && around_.state.is_ending(now)) {
        may_interrupt_ = false;
        session_.cancel();
      }
      session_.expire(engine::Clock::now());
      answer_ = session_.take_answer();
      return !answer_;
    case Doing::arming:
      if (!held_line_->is_sent() && !held_line_->error() && now < until_) return true;
      answer_.emplace();
      if (!held_line_->is_sent()) fail_line();
      return false;
    case Doing::waiting:
      return now < until_ && changes_seen_ == around_.state.changes();
    case Doing::reading:
      return now < until_ && !journal_->done;
    case Doing::nothing:
      break;
  }
  return true;
}

void GuardedEndpoint::take_step(milliseconds now) {
  auto input = around_.state.input(now);
  // After an exception the plan may be anywhere, also where it waits for one of these.
  const std::vector<hold::Record> no_records;
  input.journal = journal_ ? &journal_->records : &no_records;
  changes_seen_ = around_.state.changes();
  auto step = plan_.next(input, answer_ ? &*answer_ : nullptr);
  answer_.reset();
  journal_.reset();
  if (const auto deadline = plan_.extended()) around_.state.extend(*deadline);
  around_.state.update(number_, plan_);
  if (const auto backed = plan_.backed()) around_.state.set_backed(number_, *backed);
  if (auto* wanted = std::get_if<hold::guard_step::Ask>(&step)) {
    // A release is never cut. A survey that begins when the hold is ending is not, either.
    may_interrupt_ = !wanted->release && !around_.state.is_ending(now);
    doing_ = Doing::asking;
    session_.ask(std::move(wanted->commands), wanted->fresh);
  } else if (const auto* wait = std::get_if<hold::guard_step::Wait>(&step)) {
    const auto first = std::exchange(first_wait_, std::nullopt);
    doing_ = Doing::waiting;
    until_ = first ? std::min(wait->until, now + *first) : wait->until;
  } else if (auto* line = std::get_if<hold::guard_step::Arm>(&step)) {
    doing_ = Doing::arming;
    until_ = now + wait_line_timeout;
    held_line_ = std::make_unique<engine::HeldLine>(endpoint_, around_.loop, std::move(line->line));
  } else if (std::holds_alternative<hold::guard_step::Disarm>(step)) {
    held_line_.reset();
    doing_ = Doing::waiting;
    until_ = now;
  } else if (std::holds_alternative<hold::guard_step::ReadJournal>(step)) {
    read_journal(now);
  } else {
    finish();
  }
}

void GuardedEndpoint::read_journal(milliseconds now) {
  journal_ = std::make_shared<JournalRead>();
  doing_ = Doing::reading;
  until_ = now + hold::GuardPlan::journal_patience;
  auto found = std::make_shared<std::vector<hold::Record>>();
  around_.errands.run([found, journal = around_.journal] { *found = journal.load().records; },
                      [this, found, reading = std::weak_ptr(journal_)] {
                        if (const auto read = reading.lock()) {
                          read->records = std::move(*found);
                          read->done = true;
                          on_ready_(*this);
                        }
                      });
}

/// The plan may be in the middle of anything. It gets an error for an answer, whatever it asked.
void GuardedEndpoint::note_exception(milliseconds now, const char* what) noexcept {
  session_.drop();
  journal_.reset();
  // Nothing here takes memory, as long as the words are short.
  answer_.emplace();
  answer_->sent = true;
  answer_->error.emplace();
  answer_->error->code = Errc::system_error;
  try {
    answer_->error->message = "the guard lacks what it needs: ";
    answer_->error->message += what;
  } catch (...) {
    answer_->error->message.clear();
  }
  doing_ = Doing::waiting;
  until_ = now + hold::GuardPlan::pause;
  changes_seen_ = around_.state.changes();
}

void GuardedEndpoint::set_due(milliseconds now) noexcept {
  due_ = doing_ == Doing::nothing ? never : until_;
  if (doing_ == Doing::asking) {
    due_ = never;
    if (const auto deadline = session_.deadline()) {
      due_ = now + std::chrono::ceil<milliseconds>(*deadline - engine::Clock::now());
    }
    if (may_interrupt_) due_ = std::min(due_, around_.state.order().deadline);
  }
  if (doing_ == Doing::arming) due_ = std::min(until_, now + line_pause);
}

void GuardedEndpoint::finish() {
  doing_ = Doing::nothing;
  held_line_.reset();
  session_.close();
  around_.state.set_finished(number_);
}

void GuardedEndpoint::fail_line() {
  answer_->error = held_line_->error().value_or(
      Error{Errc::connect_timeout, "the line with HAProxy's wait could not be sent in time"});
  held_line_.reset();
}

}  // namespace stillgate::guard
