// Running one exchange over one transport.
#include "link.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "boot_clock.hpp"

namespace stillgate::engine {

using runtime_api::Waiting;
namespace action = runtime_api::action;
namespace event = runtime_api::event;

namespace {

using std::chrono::milliseconds;

/// An answer that is older decides nothing, beside what HAProxy usually takes. Others need a few
/// round trips to end a hold and begin the next one.
constexpr milliseconds current_for{250};
/// Each may be four times as late as the one before.
constexpr int most_questions = 5;

constexpr std::size_t few_commands = 100;
constexpr milliseconds each_of_more{10};

bool is_stale(milliseconds asked_at, milliseconds usual_age) {
  return boot_time() - asked_at > current_for + 4 * usual_age;
}

Error stalled() {
  return {Errc::stalled,
          "this call stood still between its question and its command, which was not sent; run it "
          "again"};
}

Error changed() {
  return {
      Errc::hold_changed,
      "another hold has begun here since this call looked, perhaps while it stood still; it was "
      "left as it is: run 'stillgate status'"};
}

}  // namespace

milliseconds more_time(std::size_t commands) {
  if (commands <= few_commands) return milliseconds(0);
  return each_of_more * static_cast<std::int64_t>(commands - few_commands);
}

Link::Link(const Endpoint& endpoint, transport::Shared& shared, const FleetOptions& options,
           Clock::time_point epoch, LinkObserver& observer)
    : endpoint_(endpoint), shared_(shared), options_(options), epoch_(epoch), observer_(observer) {}

void Link::begin(const std::vector<runtime_api::Command>& commands, const runtime_api::Batch& batch,
                 const runtime_api::Condition* condition) {
  commands_ = &commands;
  batch_ = &batch;
  condition_ = condition;
  asking_ = false;
  questions_ = 0;
  answer_ = {};
  timings_ = {};
  watched_ = Waiting::nothing;
  // HAProxy closes an idle connection after its `stats timeout`. A kept one is tested first, so
  // that no command is lost on a closed connection.
  const bool kept = !batch.fresh && transport_ != nullptr && transport_->idle();
  if (!kept) close();
  if (condition_ != nullptr) {
    ask(!kept);
  } else {
    exchange_.emplace(commands, batch.closing, batch.barrier, !kept, options_.max_reply_bytes);
  }
  if (kept) {
    connected();
    return;
  }
  transport_ = transport::make_transport(shared_, endpoint_, *this);
  watch();
  transport_->connect();
}

void Link::ask(bool fresh) {
  asking_ = true;
  ++questions_;
  watched_ = Waiting::nothing;
  exchange_.emplace(condition_->question, runtime_api::Closing::keep, false, fresh,
                    options_.max_reply_bytes);
}

/// Whoever was frozen behind the question finds an old answer. Its age is read last.
void Link::judge() {
  const bool holds = condition_->holds(exchange_->answer().replies);
  const bool stale = is_stale(asked_at_, usual_age_);
  usual_age_ = boot_time() - asked_at_;
  if (stale && questions_ < most_questions) {
    ask(false);
    resume(event::Connected{});
    return;
  }
  if (!holds || stale) {
    give_up(holds ? stalled() : changed());
    return;
  }
  asking_ = false;
  watched_ = Waiting::nothing;
  exchange_.emplace(*commands_, batch_->closing, batch_->barrier, false, options_.max_reply_bytes);
  resume(event::Connected{});
}

/// Nothing was sent, and the connection stays.
void Link::give_up(Error error) {
  answer_.error = std::move(error);
  asking_ = false;
  exchange_.reset();
  deadline_.reset();
  observer_.on_link_finished(*this);
}

bool Link::is_stale_at_barrier() {
  if (condition_ == nullptr || !is_stale(asked_at_, std::max(usual_age_, usual_standing_)))
    return false;
  usual_standing_ = boot_time() - asked_at_;
  return true;
}

void Link::release() { resume(event::Released{}); }

void Link::fail(const Error& error) { resume(event::Failed{error}); }

void Link::expire(Clock::time_point now) {
  if (deadline_ && *deadline_ <= now) fail(overdue());
}

void Link::close() {
  if (transport_) transport_->close();
  transport_.reset();
}

template <class Act>
void Link::guarded(Act act) {
  try {
    act();
  } catch (...) {
    if (!observer_.on_link_threw()) throw;
  }
}

void Link::on_connected() {
  guarded([this] { connected(); });
}

void Link::connected() {
  timings_.connected_ms = elapsed_ms();
  // Only an open connection knows it, and it is needed after a failure has closed this one.
  peer_pid_ = transport_->peer_pid();
  observer_.on_link_connected();
  resume(event::Connected{});
}

void Link::on_bytes(std::string_view bytes) {
  if (written_at_) {
    const auto time = Clock::now() - *std::exchange(written_at_, std::nullopt);
    round_trip_ = std::min(round_trip_.value_or(time), time);
  }
  guarded([this, bytes] { resume(event::Bytes{bytes}); });
}

void Link::on_end_of_stream() {
  guarded([this] { resume(event::EndOfStream{}); });
}

void Link::on_failed(Error error) {
  guarded([this, &error] { resume(event::Failed{std::move(error)}); });
}

void Link::resume(const runtime_api::Event& event) {
  if (exchange_) apply(exchange_->resume(event));
}

void Link::apply(runtime_api::Action next) {
  if (std::holds_alternative<action::Finished>(next)) {
    finish();
    return;
  }
  watch();
  if (auto* write = std::get_if<action::Write>(&next)) {
    written_at_ = Clock::now();
    if (asking_) asked_at_ = boot_time();
    if (exchange_->answer().sent) timings_.sent_ms = elapsed_ms();
    transport_->write(std::move(write->bytes));
    // A write that fails ends the exchange.
    if (exchange_) transport_->read();
  } else if (std::holds_alternative<action::Read>(next)) {
    transport_->read();
  } else {
    observer_.on_link_at_barrier();
  }
}

void Link::finish() {
  if (asking_ && !exchange_->answer().error) return judge();
  timings_.answered_ms = exchange_->answer().error ? std::nullopt : std::optional(elapsed_ms());
  answer_ = std::move(exchange_->answer());
  answer_.timings = timings_;
  // A question changes nothing.
  if (std::exchange(asking_, false)) answer_.sent = false;
  const bool keep = exchange_->reusable();
  exchange_.reset();
  deadline_.reset();
  if (!keep && transport_) transport_->close();
  observer_.on_link_finished(*this);
}

void Link::watch() {
  const Waiting now = exchange_->waiting();
  if (now == watched_) return;
  watched_ = now;
  deadline_.reset();
  switch (now) {
    case Waiting::connection:
      deadline_ = Clock::now() + transport_->connect_timeout(options_.connect_timeout);
      break;
    case Waiting::greeting:
      deadline_ = Clock::now() + options_.greeting_timeout;
      break;
    case Waiting::reply:
      deadline_ = Clock::now() + options_.reply_timeout + more_time(commands_->size());
      break;
    case Waiting::barrier:
    case Waiting::nothing:
      return;
  }
  observer_.on_link_deadline(*deadline_);
}

Error Link::overdue() const {
  const auto make = [](Errc code, std::string message) { return Error{code, std::move(message)}; };
  if (watched_ == Waiting::connection) {
    if (transport_->queue_full()) {
      return make(Errc::backlog_full,
                  fmt::format("the socket's listen queue stayed full for {} ms; other clients may "
                              "use up HAProxy's 'stats maxconn' (10 by default), which limits it",
                              options_.connect_timeout.count()));
    }
    return make(Errc::connect_timeout,
                fmt::format("no connection within {} ms", options_.connect_timeout.count()));
  }
  if (transport_->has_unsent()) {
    return make(Errc::write_timeout, "the peer stopped reading before the deadline");
  }
  if (watched_ == Waiting::greeting) {
    return make(
        Errc::no_greeting,
        fmt::format("connected, but HAProxy said nothing within {} ms; it hangs, or other clients "
                    "use up its 'stats maxconn' (10 by default, over all its stats sockets)",
                    options_.greeting_timeout.count()));
  }
  return make(Errc::reply_timeout,
              fmt::format("no complete reply within {} ms; it is unknown whether the command ran",
                          (options_.reply_timeout + more_time(commands_->size())).count()));
}

Error Link::late() const {
  if (watched_ == Waiting::connection) {
    return {Errc::connect_timeout, "no connection yet, while other frontends are already held"};
  }
  return {Errc::reply_timeout,
          "no complete reply yet, while other frontends are already held; it is unknown whether "
          "the command ran"};
}

double Link::elapsed_ms() const {
  return std::chrono::duration<double, std::milli>(Clock::now() - epoch_).count();
}

}  // namespace stillgate::engine
