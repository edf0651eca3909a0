// Carrying out the guard's plan at one endpoint.
#include "endpoint_thread.hpp"

#include <algorithm>
#include <utility>

#include "fleet/boot_clock.hpp"
#include "fleet/journal.hpp"
#include "hold/guard/wait_line.hpp"
#include "runtime_api/release.hpp"

namespace stillgate::guard {

using std::chrono::milliseconds;

namespace {

/// Short, because a connection that hangs may be replaced, and long enough for an HAProxy that
/// answers half a second late.
FleetOptions patience() {
  FleetOptions options;
  options.connect_timeout = milliseconds(1000);
  options.greeting_timeout = milliseconds(1500);
  options.reply_timeout = milliseconds(1500);
  return options;
}

constexpr milliseconds backing_patience{300};
/// So long after the guard itself, which is more exact and says what it did.
constexpr milliseconds behind{30};

bool has_wait(const std::string& version) {
  const auto release = runtime_api::Release::parse(version);
  return release && *release >= runtime_api::Release{3, 0, 0};
}

}  // namespace

Post::Post(Warden& warden, std::size_t number, Endpoint endpoint, hold::Record record,
           milliseconds first_rest)
    : warden_(warden),
      number_(number),
      endpoint_{std::move(endpoint)},
      options_(patience()),
      first_rest_(first_rest),
      plan_(endpoint_[0].url(), std::move(record)),
      thread_([this] { run(); }) {}

void Post::interrupt() {
  const std::scoped_lock lock(mutex_);
  stop_.request_stop();
}

void Post::run() {
  std::optional<runtime_api::Answer> answer;
  std::optional<std::vector<hold::Record>> journal;
  while (!warden_.dismissed()) {
    auto outlook = warden_.outlook();
    outlook.journal = journal ? &*journal : nullptr;
    const auto step = plan_.next(outlook, answer ? &*answer : nullptr);
    if (const auto until = plan_.extended()) warden_.extend(*until);
    warden_.told(number_, plan_);
    back_up(outlook);
    answer.reset();
    journal.reset();
    if (const auto* wanted = std::get_if<hold::keep::Ask>(&step)) {
      answer = ask(*wanted);
    } else if (const auto* rest = std::get_if<hold::keep::Rest>(&step)) {
      const auto first = std::exchange(first_rest_, std::nullopt);
      warden_.wait_until(first ? std::min(rest->until, outlook.now + *first) : rest->until);
    } else if (std::holds_alternative<hold::keep::Consult>(step)) {
      journal = fleet::Journal(warden_.order().state_folder).load().records;
    } else {
      break;
    }
  }
  line_.reset();
  kept_.reset();
  warden_.left(number_);
}

/// A new connection replaces the kept one only once it was answered.
runtime_api::Answer Post::ask(const hold::keep::Ask& wanted) {
  std::stop_token stop;
  {
    const std::scoped_lock lock(mutex_);
    stop_ = std::stop_source();
    if (!wanted.release) stop = stop_.get_token();
  }
  runtime_api::Batch batch;
  batch.work.push_back(wanted.commands);
  if (kept_ && !wanted.fresh) return std::move(kept_->run(batch, stop)[0]);
  auto fresh = std::make_unique<engine::Session>(endpoint_, options_, progress_);
  auto answer = std::move(fresh->run(batch, stop)[0]);
  if (!answer.error || !kept_) kept_ = std::move(fresh);
  return answer;
}

/// HAProxy's own `wait` as a second line: it fires where this machine is frozen or cut off, and
/// nobody closes the connection. It stands before anything is held, because that can happen in the
/// middle of a commit; what it would restore is in force until then.
void Post::back_up(const hold::KeepOutlook& outlook) {
  if (!plan_.holds()) {
    // It would open what somebody else may hold by then.
    line_.reset();
    return;
  }
  if (outlook.mode == hold::GuardMode::ending || !plan_.looked()) return;
  if (backing_ == Backing{outlook.deadline, plan_.process(), plan_.record().switches}) return;
  const auto left = outlook.deadline + behind - outlook.now;
  std::unique_ptr<engine::HeldLine> line;
  if (has_wait(plan_.version()) && left > behind) {
    auto text = hold::wait_line(plan_.record(), left);
    if (text) line = std::make_unique<engine::HeldLine>(endpoint_[0]);
    if (line && line->send(*std::move(text), backing_patience)) line.reset();
  }
  // The new one stands before the old one goes.
  line_ = std::move(line);
  plan_.set_backed(line_ != nullptr);
  backing_ = Backing{outlook.deadline, plan_.process(), plan_.record().switches};
  warden_.backed(number_, line_ != nullptr);
}

}  // namespace stillgate::guard
