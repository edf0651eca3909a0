// The guard's loop, and what it does in each turn.
#include "guard.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <unordered_map>

#include <malloc.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/format.h>

namespace stillgate::guard {

using engine::boot_time;
using hold::GuardMode;
using std::chrono::milliseconds;

namespace {

/// The clock of waiting stops while the machine sleeps, and ours does not.
constexpr milliseconds longest_turn{100};
constexpr milliseconds backing_patience{2000};
constexpr milliseconds standby_patience{4000};
constexpr milliseconds expiry_patience{500};
constexpr milliseconds journal_pause{100};
constexpr milliseconds errands_patience{30'000};

/// What fails here is tried again in the next turn, and keeps nothing else from its turn.
template <class Act>
void guarded(Act act) noexcept {
  try {
    act();
  } catch (...) {  // NOLINT(bugprone-empty-catch): only a lack of memory or the like gets here
  }
}

}  // namespace

SignalDescriptor::SignalDescriptor() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ < 0) throw std::system_error(errno, std::system_category());
}

SignalDescriptor::~SignalDescriptor() { ::close(fd_); }

Guard::Guard(const fleet::GuardOrder& order, std::string received, Provisions& provisions)
    : provisions_(provisions),
      loop_(provisions.loop()),
      errands_(provisions.errands()),
      journal_(order.state_folder),
      urls_(endpoints_of(order.record)),
      state_(order, urls_),
      events_(state_, errands_, urls_),
      holder_(std::move(received)),
      told_deadline_(order.record.deadline),
      standby_(loop_),
      signals_watch_(loop_, signals_.get()),
      holder_watch_(loop_, holder_.descriptor()),
      // A standby guard that takes over a hold in effect: it was on record before it began.
      in_journal_(order.mode == GuardMode::holding),
      confirmed_(in_journal_) {
  make_endpoints();
}

void Guard::make_endpoints() {
  const auto& order = state_.order();
  const Surroundings around{state_, loop_, errands_, journal_, provisions_.options()};
  hold::Record bare = order.record;
  bare.switches = {};
  // Only its own switches from the start: a vector keeps the memory that it once had, and there is
  // one for each endpoint.
  std::unordered_map<std::string_view, std::vector<hold::HeldSwitch>> switches;
  for (const hold::HeldSwitch& held : order.record.switches)
    switches[held.endpoint].push_back(held);
  endpoints_.reserve(urls_.size());
  ready_.reserve(urls_.size());
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    auto endpoint = Endpoint::parse(urls_[i]);
    if (!endpoint) {
      state_.set_finished(i);
      continue;
    }
    hold::Record record = bare;
    record.switches = switches[urls_[i]];
    const auto first_wait = hold::GuardPlan::pause * (i + 1) / urls_.size();
    endpoints_.push_back(
        std::make_unique<GuardedEndpoint>(around, i, *std::move(endpoint), std::move(record),
                                          first_wait, [this](GuardedEndpoint& ready) {
                                            if (std::exchange(ready.is_listed, true)) return;
                                            ready_.push_back(&ready);
                                          }));
  }
}

/// The releases come first in each turn, and nothing else keeps them from it.
void Guard::run(bool took_over) noexcept {
  if (took_over) {
    guarded([this] {
      events_.report(EventKind::guard_died,
                     "the guard has died; its standby keeps the hold in its place, and starts "
                     "another standby");
    });
  }
  guarded([this] { keep_standby(); });
  while (!leaving_ && !state_.all_finished()) {
    step_endpoints();
    serve();
    guarded([this] { wait(); });
  }
  guarded([this] { end(); });
}

void Guard::wait() {
  auto patience = longest_turn;
  if (!ready_.empty() || changes_seen_ != state_.changes()) {
    patience = milliseconds(0);
  } else {
    patience = std::clamp(next_due_ - boot_time(), milliseconds(0), patience);
  }
  loop_.turn(patience);
}

/// Those that have an answer; and all of them when the time of one has come, or something has
/// changed for all.
void Guard::step_endpoints() {
  const auto now = boot_time();
  if (now >= next_due_ || changes_seen_ != state_.changes()) {
    const bool all = changes_seen_ != state_.changes();
    changes_seen_ = state_.changes();
    next_due_ = milliseconds::max();
    for (const auto& endpoint : endpoints_) {
      if (all || endpoint->due() <= now) endpoint->step(now);
      next_due_ = std::min(next_due_, endpoint->due());
    }
  }
  // A step may list its own endpoint again: that is for the next turn.
  const std::size_t listed = ready_.size();
  for (std::size_t i = 0; i < listed; ++i) {
    ready_[i]->is_listed = false;
    ready_[i]->step(now);
    next_due_ = std::min(next_due_, ready_[i]->due());
  }
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(listed));
}

void Guard::serve() {
  guarded([this] { errands_.deliver(); });
  guarded([this] { take_signal(); });
  guarded([this] { take_lines(); });
  guarded([this] { tell_end(); });
  guarded([this] { read_journal(); });
  guarded([this] { tell_deadline(); });
  guarded([this] { events_.report_notices(); });
  guarded([this] { keep_standby(); });
  guarded([this] { answer_start(); });
  guarded([this] { trim_memory(); });
}

void Guard::take_signal() {
  while (signals_watch_.take()) {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) continue;
    state_.set_mode(GuardMode::ending);
    events_.report(EventKind::guard_lost, "the guard got SIGTERM, and ends the hold");
  }
}

void Guard::take_lines() {
  while (holder_.descriptor() >= 0 && holder_watch_.take()) {
    if (!holder_.read()) holder_died();
  }
  while (const auto line = holder_.take_line()) obey(*line);
}

void Guard::obey(const std::string& line) {
  if (line == "hold") {
    if (state_.order().mode != GuardMode::arming) return;
    state_.set_mode(GuardMode::holding);
    promised_ = confirmed_ = true;
    keep_standby();
  } else if (line == "end") {
    confirmed_ = false;
    state_.set_mode(GuardMode::ending);
  } else if (line == "leave") {
    leaving_ = true;
  }
}

/// First its standby guard: one that only knows of the arming would roll back a confirmed hold.
void Guard::keep_promise() {
  if (!promised_ || !standby_.has(state_.revision())) return;
  promised_ = false;
  holder_.say("holding\n");
}

void Guard::holder_died() {
  if (state_.order().mode != GuardMode::arming) return;
  state_.set_mode(GuardMode::ending);
  events_.report(EventKind::rolled_back,
                 "the suspend died before it was done; the guard rolls it back");
}

void Guard::tell_end() {
  const auto now = boot_time();
  if (!state_.is_ending(now)) return;
  if (now - state_.order().deadline >= expiry_patience) events_.report_end(false);
}

/// The journal shows whether somebody on this machine has ended the hold, or moved its deadline.
void Guard::read_journal() {
  const auto now = boot_time();
  if (reading_journal_ || now < journal_due_at_) return;
  journal_due_at_ = now + journal_pause;
  struct Reading {
    std::optional<hold::Record> found;
    bool done{false};
  };
  auto reading = std::make_shared<Reading>();
  errands_.run(
      [reading, journal = journal_, id = state_.order().record.id] {
        auto [record, is_missing] = journal.find(id);
        reading->done = record.has_value() || is_missing;
        reading->found = std::move(record);
      },
      [this, reading] {
        reading_journal_ = false;
        if (reading->done) note_journal(reading->found);
      });
  reading_journal_ = true;
}

void Guard::note_journal(const std::optional<hold::Record>& found) {
  const auto& order = state_.order();
  if (!found) {
    if (in_journal_ && order.mode == GuardMode::holding) state_.set_over();
    return;
  }
  in_journal_ = true;
  if (found->deadline) state_.extend(*found->deadline);
  for (const hold::HeldSwitch& held : order.record.switches) {
    if (found->find(held.endpoint, held.frontend) == nullptr) state_.set_over();
  }
}

/// Who keeps the hold is to know, wherever it was extended.
void Guard::tell_deadline() {
  const auto deadline = state_.order().record.deadline;
  if (!deadline || deadline == told_deadline_) return;
  told_deadline_ = deadline;
  const auto since_epoch = std::chrono::floor<milliseconds>(*deadline).time_since_epoch();
  holder_.say(fmt::format("deadline {}\n", since_epoch.count()));
}

/// Whoever started us waits for it: every endpoint was surveyed, it is known which of them
/// HAProxy's own `wait` backs, and there is a standby guard.
void Guard::answer_start() {
  if (started_) return;
  const bool arming = state_.order().mode == GuardMode::arming;
  const auto waited = boot_time() - begun_at_;
  const bool without_standby = !standby_.is_ready();
  if (arming && without_standby && (standby_.failure() || waited >= standby_patience)) {
    refuse("", {Errc::guard_failed,
                fmt::format("the guard (it ends a hold by maxconn if its owner dies) cannot have a "
                            "standby guard: {}",
                            standby_.failure().value_or("it did not answer in time"))});
    return;
  }
  if (!state_.all_surveyed()) return;
  const auto error = state_.first_error();
  if (arming && error) {
    refuse(urls_[error->first], error->second);
    return;
  }
  if (arming && without_standby) return;
  const bool settled =
      state_.order().mode == GuardMode::ending || (state_.all_backing_known() && !without_standby);
  if (!settled && waited < backing_patience) return;
  started_ = true;
  std::string line = "ready";
  for (const std::size_t i : state_.backed_endpoints()) line += " " + hold::escape(urls_[i]);
  holder_.say(line + "\n");
}

void Guard::refuse(const std::string& endpoint, const Error& error) {
  holder_.say(fleet::encode_refusal(endpoint, error));
  started_ = true;
  leaving_ = true;
}

void Guard::keep_standby() {
  if (leaving_ || state_.all_finished()) return;
  standby_.keep(boot_time(), state_.order(), state_.revision());
  keep_promise();
  if (standby_.take_death()) {
    events_.report(EventKind::guard_died,
                   "the standby guard has died; the guard keeps the hold, and starts another");
  }
  if (standby_.is_ready()) {
    standby_told_ = false;
  } else if (started_ && standby_.failure() && !std::exchange(standby_told_, true)) {
    events_.report(EventKind::guard_lost,
                   fmt::format("no standby guard can be had: {}; the guard tries again until the "
                               "hold ends",
                               *standby_.failure()));
  }
}

/// What many endpoints needed at their first survey, all at once, they never need again.
void Guard::trim_memory() {
  constexpr milliseconds pause{500};
  if (boot_time() < trimmed_at_ + pause) return;
  trimmed_at_ = boot_time();
  ::malloc_trim(0);
}

/// What is not held any more goes off the journal; a gate's switches of the same hold stay. If
/// somebody was told that it holds, the next resume tells him how it ended.
void Guard::close_journal() {
  const auto& order = state_.order();
  std::optional<hold::RecordEnd> end;
  if (confirmed_) end = events_.end_of_hold(order.mode);
  errands_.run([journal = journal_, ended = order.record, end = std::move(end)] {
    const auto found = journal.find(ended.id).record;
    if (!found) return;
    hold::Parted parted{*found, *found};
    const auto is_ours = [&ended](const hold::HeldSwitch& held) {
      return ended.find(held.endpoint, held.frontend) != nullptr;
    };
    std::erase_if(parted.left.switches, is_ours);
    std::erase_if(parted.over.switches, [&](const auto& held) { return !is_ours(held); });
    if (!end || parted.over.switches.empty()) {
      (void)journal.keep(parted.left);
      return;
    }
    parted.over.end = end;
    (void)journal.retire(parted);
  });
}

void Guard::end() {
  guarded([this] { events_.report_notices(); });
  if (!leaving_) {
    guarded([this] { events_.report_end(true); });
    guarded([this] { close_journal(); });
  }
  const bool done = errands_.finish(errands_patience);
  standby_.dismiss();
  if (!done) ::_exit(0);
}

}  // namespace stillgate::guard
