// The course of a guard as a whole.
#include "guard.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "fleet/boot_clock.hpp"

namespace stillgate::guard {

using fleet::boot_time;
using hold::GuardMode;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds tick{50};
constexpr milliseconds backing_patience{2000};
constexpr milliseconds expiry_patience{500};
constexpr int most_twins = 20;

int termination_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

std::vector<std::string> endpoints_of(const hold::Record& record) {
  std::vector<std::string> urls;
  for (const hold::HeldSwitch& one : record.switches) {
    if (std::find(urls.begin(), urls.end(), one.endpoint) == urls.end()) {
      urls.push_back(one.endpoint);
    }
  }
  return urls;
}

EventOptions event_options(const fleet::GuardOrder& order) {
  EventOptions options;
  options.on_event = order.on_event;
  if (order.event_format == "syslog") options.format = EventFormat::syslog;
  if (order.event_format == "journald") options.format = EventFormat::journald;
  options.on_line = [](const std::string& line) {
    const std::string text = "event " + line + "\n";
    // Whoever does not listen, or no longer, must not keep the guard from its work.
    (void)!::send(STDOUT_FILENO, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  return options;
}

}  // namespace

Guard::Guard(const fleet::GuardOrder& order, std::string heard)
    : journal_(order.state_folder),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      // Before any thread starts, so that all have it blocked.
      signals_(termination_signals()),
      warden_(order, endpoints_of(order.record).size(), wake_),
      events_(order.state_folder, event_options(order)),
      urls_(endpoints_of(order.record)),
      heard_(std::move(heard)) {}

Guard::~Guard() {
  posts_.clear();
  ::close(wake_);
  ::close(signals_);
}

void Guard::run() {
  keep_twin();
  start_posts();
  hear_lines();
  while (!leaving_ && !warden_.all_left()) {
    wait();
    end_if_due();
    look_at_journal();
    tell_notices();
    answer();
    keep_twin();
    give_memory_back();
  }
  tell_notices();
  if (!leaving_) {
    tell_expiry(true);
    close_journal();
  }
  twin_.dismiss();
  warden_.dismiss();
  for (const auto& post : posts_) post->interrupt();
}

void Guard::start_posts() {
  const auto order = warden_.order();
  hold::Record bare = order.record;
  bare.switches = {};
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    auto endpoint = Endpoint::parse(urls_[i]);
    if (!endpoint) {
      warden_.left(i);
      continue;
    }
    // Only its own switches from the start: what a vector had once it keeps, for each post.
    hold::Record record = bare;
    for (const hold::HeldSwitch& one : order.record.switches) {
      if (one.endpoint == urls_[i]) record.switches.push_back(one);
    }
    const auto first_rest = hold::KeepPlan::pause * (i + 1) / urls_.size();
    posts_.push_back(
        std::make_unique<Post>(warden_, i, *std::move(endpoint), std::move(record), first_rest));
  }
}

void Guard::wait() {
  std::array<pollfd, 4> watched{pollfd{wake_, POLLIN, 0}, pollfd{signals_, POLLIN, 0},
                                pollfd{holder_there_ ? STDIN_FILENO : -1, POLLIN, 0},
                                pollfd{twin_.descriptor(), POLLIN, 0}};
  const auto order = warden_.order();
  auto patience = tick;
  const auto left = order.deadline - boot_time();
  if (left > milliseconds(0)) patience = std::min(patience, left);
  ::poll(watched.data(), watched.size(), static_cast<int>(patience.count()));
  std::uint64_t count = 0;
  if (watched[0].revents != 0) (void)!::read(wake_, &count, sizeof count);
  if (watched[1].revents != 0) {
    signalfd_siginfo info{};
    (void)!::read(signals_, &info, sizeof info);
    tell(EventKind::guard_lost, "the guard was told to end (SIGTERM), and ends the hold");
    warden_.set_mode(GuardMode::ending);
  }
  if (watched[2].revents != 0) hear();
  if (watched[3].revents != 0) twin_.alive();
}

void Guard::hear() {
  std::array<char, 4096> piece{};
  const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    holder_died();
    return;
  }
  heard_.append(piece.data(), static_cast<std::size_t>(n));
  hear_lines();
}

void Guard::hear_lines() {
  for (std::size_t end = heard_.find('\n'); end != std::string::npos; end = heard_.find('\n')) {
    const std::string line = heard_.substr(0, end);
    heard_.erase(0, end + 1);
    hear_line(line);
  }
}

void Guard::hear_line(const std::string& line) {
  if (line == "hold") {
    if (warden_.order().mode != GuardMode::arming) return;
    warden_.set_mode(GuardMode::holding);
    // First its twin: one that knew of the arming only would take a hold back that was promised.
    keep_twin();
    say("holding\n");
  } else if (line == "end") {
    warden_.set_mode(GuardMode::ending);
  } else if (line == "leave") {
    leaving_ = true;
  }
}

void Guard::holder_died() {
  holder_there_ = false;
  if (warden_.order().mode != GuardMode::arming) return;
  tell(EventKind::rolled_back, "the suspend died before it was done: the guard takes it back");
  warden_.set_mode(GuardMode::ending);
}

/// What is waited for by whoever started us.
void Guard::answer() {
  if (started_ || !warden_.all_looked()) return;
  const auto order = warden_.order();
  const auto error = warden_.first_error();
  if (order.mode == GuardMode::arming && error) {
    started_ = true;
    say(fleet::encode_refusal(urls_[error->first], error->second));
    leaving_ = true;
    return;
  }
  const bool settled = order.mode == GuardMode::ending || warden_.all_settled_backing();
  if (!settled && boot_time() - begun_at_ < backing_patience) return;
  started_ = true;
  std::string line = "ready";
  for (const std::size_t i : warden_.backed_posts()) line += " " + hold::escape(urls_[i]);
  say(line + "\n");
}

/// The journal of this machine says whether somebody here has ended the hold, or moved its end.
void Guard::look_at_journal() {
  if (boot_time() < journal_at_) return;
  journal_at_ = boot_time() + 2 * tick;
  const auto order = warden_.order();
  const auto found = journal_.find(order.record.id);
  if (!found) {
    if (in_journal_ && order.mode == GuardMode::holding) warden_.set_over();
    return;
  }
  in_journal_ = true;
  if (found->deadline) warden_.extend(*found->deadline);
  for (const hold::HeldSwitch& one : order.record.switches) {
    if (found->find(one.endpoint, one.frontend) == nullptr) warden_.set_over();
  }
}

/// What a hundred posts needed at their first look, all at once, they never need again.
void Guard::give_memory_back() {
  constexpr milliseconds pause{500};
  if (boot_time() < trimmed_at_ + pause) return;
  trimmed_at_ = boot_time();
  ::malloc_trim(0);
}

void Guard::keep_twin() {
  if (leaving_ || warden_.all_left()) return;
  if (twin_.descriptor() < 0 && twins_started_ < most_twins) {
    ++twins_started_;
    twin_revision_ = 0;
    twin_.start();
  }
  const auto revision = warden_.revision();
  if (revision == twin_revision_) return;
  twin_revision_ = revision;
  twin_.tell(warden_.order());
}

/// A look that hangs must not keep its post from the release.
void Guard::end_if_due() {
  const auto order = warden_.order();
  const bool due = order.mode == GuardMode::ending || boot_time() >= order.deadline;
  if (due && !ended_) {
    for (const auto& post : posts_) post->interrupt();
  }
  ended_ = due;
  if (due && boot_time() - order.deadline >= expiry_patience) tell_expiry(false);
}

void Guard::tell_notices() {
  using Kind = hold::KeepNotice::Kind;
  for (const Warden::Notice& one : warden_.take_notices()) {
    const std::string& words = one.what.message;
    switch (one.what.kind) {
      case Kind::reapplied:
        tell(EventKind::reapplied, words, one.post, one.what.frontend);
        break;
      case Kind::lost:
        tell(EventKind::endpoint_lost, words, one.post);
        break;
      case Kind::released:
        if (!released_) released_at_ = std::chrono::system_clock::now();
        released_ = true;
        releases_.push_back(fmt::format("{} at {}", one.what.frontend, urls_[one.post]));
        break;
      case Kind::gone:
        given_up_.push_back(fmt::format("{}: {}", urls_[one.post], words));
        break;
      case Kind::found:
      case Kind::resumed:
        break;
    }
  }
}

/// Once, when it is known how it ended: at each endpoint, or soon after the deadline.
void Guard::tell_expiry(bool last) {
  if (expiry_told_ || (!released_ && given_up_.empty())) return;
  const auto order = warden_.order();
  if (!last && !warden_.all_left() && releases_.empty()) return;
  expiry_told_ = true;
  std::string words = fmt::format("released by the guard: {}", fmt::join(releases_, ", "));
  if (!given_up_.empty()) words += fmt::format("; {}", fmt::join(given_up_, "; "));
  const bool rolled_back = order.mode == GuardMode::ending && boot_time() < order.deadline;
  Event ended = event(rolled_back ? EventKind::rolled_back : EventKind::expired, words);
  if (released_) ended.at = released_at_;
  events_.tell(std::move(ended));
}

void Guard::tell(EventKind kind, const std::string& message, std::optional<std::size_t> post,
                 const std::string& frontend) {
  Event one = event(kind, message);
  if (post) one.endpoint = urls_[*post];
  if (!frontend.empty()) one.frontend = frontend;
  events_.tell(std::move(one));
}

Event Guard::event(EventKind kind, const std::string& message) const {
  Event one;
  one.kind = kind;
  one.at = std::chrono::system_clock::now();
  one.hold = warden_.order().record.summary();
  one.source = "guard";
  one.endpoints = urls_;
  one.message = message;
  return one;
}

/// What is not held any more goes off the journal; a gate's switches of the same hold stay.
void Guard::close_journal() {
  const auto order = warden_.order();
  auto found = journal_.find(order.record.id);
  if (!found) return;
  std::erase_if(found->switches, [&](const hold::HeldSwitch& one) {
    return order.record.find(one.endpoint, one.frontend) != nullptr;
  });
  (void)journal_.keep(*found);
}

void Guard::say(const std::string& line) const {
  (void)!::send(STDOUT_FILENO, line.data(), line.size(), MSG_NOSIGNAL);
}

}  // namespace stillgate::guard
