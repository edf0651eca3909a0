// The guard's main loop, and what it does in each turn.
#include "guard.hpp"

#include <algorithm>
#include <array>
#include <csignal>

#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace stillgate::guard {

using fleet::boot_time;
using hold::GuardMode;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds longest_turn{50};
constexpr milliseconds backing_patience{2000};
constexpr milliseconds expiry_patience{500};
constexpr int most_standbys = 20;

int termination_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

std::vector<std::string> endpoints_of(const hold::Record& record) {
  std::vector<std::string> urls;
  for (const hold::HeldSwitch& held : record.switches) {
    if (std::find(urls.begin(), urls.end(), held.endpoint) == urls.end()) {
      urls.push_back(held.endpoint);
    }
  }
  return urls;
}

}  // namespace

Guard::Guard(const fleet::GuardOrder& order, std::string received)
    : journal_(order.state_folder),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      // Before any thread starts, so that all have it blocked.
      signals_(termination_signals()),
      urls_(endpoints_of(order.record)),
      state_(order, urls_.size(), wake_),
      events_(order, state_, urls_),
      holder_(std::move(received)),
      // A standby guard that takes over a hold in effect: it was on record before it began.
      in_journal_(order.mode == GuardMode::holding),
      confirmed_(in_journal_) {}

Guard::~Guard() {
  threads_.clear();
  ::close(wake_);
  ::close(signals_);
}

void Guard::run() {
  keep_standby();
  start_threads();
  take_lines();
  while (!leaving_ && !state_.all_finished()) {
    wait();
    interrupt_if_due();
    read_journal();
    events_.report_notices();
    answer_start();
    keep_standby();
    trim_memory();
  }
  events_.report_notices();
  if (!leaving_) {
    events_.report_end(true);
    close_journal();
  }
  standby_.dismiss();
  state_.dismiss();
  for (const auto& thread : threads_) thread->interrupt();
}

void Guard::start_threads() {
  const auto order = state_.order();
  hold::Record bare = order.record;
  bare.switches = {};
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    auto endpoint = Endpoint::parse(urls_[i]);
    if (!endpoint) {
      state_.set_finished(i);
      continue;
    }
    // Only its own switches from the start: a vector keeps the memory that it once had, and there
    // is one for each endpoint.
    hold::Record record = bare;
    for (const hold::HeldSwitch& held : order.record.switches) {
      if (held.endpoint == urls_[i]) record.switches.push_back(held);
    }
    const auto first_wait = hold::GuardPlan::pause * (i + 1) / urls_.size();
    threads_.push_back(std::make_unique<EndpointThread>(state_, i, *std::move(endpoint),
                                                        std::move(record), first_wait));
  }
}

void Guard::wait() {
  std::array<pollfd, 4> watched{pollfd{wake_, POLLIN, 0}, pollfd{signals_, POLLIN, 0},
                                pollfd{holder_.descriptor(), POLLIN, 0},
                                pollfd{standby_.descriptor(), POLLIN, 0}};
  const auto order = state_.order();
  auto patience = longest_turn;
  const auto left = order.deadline - boot_time();
  if (left > milliseconds(0)) patience = std::min(patience, left);
  ::poll(watched.data(), watched.size(), static_cast<int>(patience.count()));
  std::uint64_t count = 0;
  if (watched[0].revents != 0) (void)!::read(wake_, &count, sizeof count);
  if (watched[1].revents != 0) {
    signalfd_siginfo info{};
    (void)!::read(signals_, &info, sizeof info);
    events_.report(EventKind::guard_lost, "the guard got SIGTERM, and ends the hold");
    state_.set_mode(GuardMode::ending);
  }
  if (watched[2].revents != 0) {
    if (holder_.read()) {
      take_lines();
    } else {
      holder_died();
    }
  }
  if (watched[3].revents != 0) standby_.is_alive();
}

void Guard::take_lines() {
  while (const auto line = holder_.take_line()) obey(*line);
}

void Guard::obey(const std::string& line) {
  if (line == "hold") {
    if (state_.order().mode != GuardMode::arming) return;
    state_.set_mode(GuardMode::holding);
    confirmed_ = true;
    // First its standby guard: one that only knows of the arming would roll back a confirmed hold.
    keep_standby();
    holder_.say("holding\n");
  } else if (line == "end") {
    confirmed_ = false;
    state_.set_mode(GuardMode::ending);
  } else if (line == "leave") {
    leaving_ = true;
  }
}

void Guard::holder_died() {
  if (state_.order().mode != GuardMode::arming) return;
  events_.report(EventKind::rolled_back,
                 "the suspend died before it was done; the guard rolls it back");
  state_.set_mode(GuardMode::ending);
}

/// A survey that hangs must not keep its endpoint from the release.
void Guard::interrupt_if_due() {
  const auto order = state_.order();
  const bool due = order.mode == GuardMode::ending || boot_time() >= order.deadline;
  if (due && !interrupted_) {
    for (const auto& thread : threads_) thread->interrupt();
  }
  interrupted_ = due;
  if (due && boot_time() - order.deadline >= expiry_patience) events_.report_end(false);
}

/// The journal shows whether somebody on this machine has ended the hold, or moved its deadline.
void Guard::read_journal() {
  if (boot_time() < journal_due_at_) return;
  journal_due_at_ = boot_time() + 2 * longest_turn;
  const auto order = state_.order();
  const auto found = journal_.find(order.record.id);
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

/// Whoever started us waits for it: every endpoint was surveyed, and it is known which of them
/// HAProxy's own `wait` backs.
void Guard::answer_start() {
  if (started_ || !state_.all_surveyed()) return;
  const auto order = state_.order();
  const auto error = state_.first_error();
  if (order.mode == GuardMode::arming && error) {
    started_ = true;
    holder_.say(fleet::encode_refusal(urls_[error->first], error->second));
    leaving_ = true;
    return;
  }
  const bool settled = order.mode == GuardMode::ending || state_.all_backing_known();
  if (!settled && boot_time() - begun_at_ < backing_patience) return;
  started_ = true;
  std::string line = "ready";
  for (const std::size_t i : state_.backed_endpoints()) line += " " + hold::escape(urls_[i]);
  holder_.say(line + "\n");
}

void Guard::keep_standby() {
  if (leaving_ || state_.all_finished()) return;
  if (standby_.descriptor() < 0 && standbys_started_ < most_standbys) {
    ++standbys_started_;
    standby_revision_ = 0;
    standby_.start();
  }
  const auto revision = state_.revision();
  if (revision == standby_revision_) return;
  standby_revision_ = revision;
  standby_.send(state_.order());
}

/// What a hundred endpoints needed at their first survey, all at once, they never need again.
void Guard::trim_memory() {
  constexpr milliseconds pause{500};
  if (boot_time() < trimmed_at_ + pause) return;
  trimmed_at_ = boot_time();
  ::malloc_trim(0);
}

/// What is not held any more goes off the journal; a gate's switches of the same hold stay. If
/// somebody was told that it holds, the next resume tells him how it ended.
void Guard::close_journal() {
  const auto order = state_.order();
  const auto found = journal_.find(order.record.id);
  if (!found) return;
  hold::Parted parted{*found, *found};
  const auto is_ours = [&order](const hold::HeldSwitch& held) {
    return order.record.find(held.endpoint, held.frontend) != nullptr;
  };
  std::erase_if(parted.left.switches, is_ours);
  std::erase_if(parted.over.switches, [&](const auto& held) { return !is_ours(held); });
  if (!confirmed_ || parted.over.switches.empty()) {
    (void)journal_.keep(parted.left);
    return;
  }
  parted.over.end = events_.end_of_hold(order.mode);
  (void)journal_.retire(parted);
}

}  // namespace stillgate::guard
