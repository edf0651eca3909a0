// Running a batch: starting links, the barrier, deadlines, cancellation.
#include "session.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <boost/asio/post.hpp>

#include "file_limit.hpp"

namespace stillgate::engine {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Closing;
using runtime_api::Haste;

namespace {

Error stopped() { return {Errc::cancelled, "stopped by the caller"}; }

std::chrono::milliseconds more_time(const Batch& batch) {
  std::size_t most = 0;
  for (const auto& commands : batch.work) most = std::max(most, commands.size());
  return engine::more_time(most);
}

}  // namespace

Session::Session(const std::vector<Endpoint>& endpoints, const FleetOptions& options,
                 Progress& progress, const std::stop_token& stop)
    : progress_(progress),
      // A hint: one thread runs it. A stop may post to it from another thread.
      io_(1),
      shared_(io_, options.connect_timeout),
      timer_(io_),
      capacity_(connection_capacity(endpoints.size())),
      patience_(std::max(options.connect_timeout, options.greeting_timeout)),
      align_timer_(io_) {
  shared_.prepare(endpoints, stop);
  const auto epoch = Clock::now();
  links_.reserve(endpoints.size());
  for (const Endpoint& endpoint : endpoints) {
    links_.push_back(std::make_unique<Link>(endpoint, shared_, options, epoch, *this));
  }
}

Session::~Session() {
  for (const auto& link : links_) link->close();
}

std::vector<Answer> Session::run(const Batch& batch, const std::stop_token& stop) {
  batch_ = &batch;
  next_ = active_ = at_barrier_ = finished_ = participants_ = answered_well_ = 0;
  begun_at_ = Clock::now();
  late_at_.reset();
  released_ = cancelled_ = false;
  due_.clear();
  for (const auto& commands : batch.work) participants_ += commands.empty() ? 0U : 1U;
  progress_.phase = batch.phase;
  progress_.connected = 0;
  progress_.answered = 0;
  const std::uint64_t number = ++run_number_;
  io_.restart();
  {
    // The handler may run in the next batch; the number shows that.
    const std::stop_callback on_stop(batch.uninterruptible ? std::stop_token() : stop,
                                     [this, number] {
                                       boost::asio::post(io_, [this, number] {
                                         if (number == run_number_) cancel();
                                       });
                                     });
    // After an earlier stop nothing is started: the handler would run only after the first commands
    // were sent.
    cancelled_ = released_ = !batch.uninterruptible && stop.stop_requested();
    if (batch.haste == Haste::from_the_beginning) {
      call_late(begun_at_ + patience_ + more_time(batch));
    }
    if (batch.within) call_late(begun_at_ + *batch.within);
    start_more();
    settle_barrier();
    if (finished_ == participants_) timer_.cancel();
    io_.run();
  }
  name_stats_maxconn();
  std::vector<Answer> answers;
  answers.reserve(links_.size());
  for (const auto& link : links_) answers.push_back(std::move(link->answer()));
  batch_ = nullptr;
  return answers;
}

void Session::start_more() {
  if (starting_) return;  // a link that ends at once calls this again
  starting_ = true;
  while (next_ < links_.size() && active_ < capacity_ && !cancelled_) {
    Link& link = *links_[next_];
    const auto& commands = batch_->work[next_];
    const auto* condition = batch_->condition_of(next_);
    ++next_;
    link.answer() = {};
    if (commands.empty()) continue;
    ++active_;
    link.begin(commands, *batch_, condition);
  }
  starting_ = false;
  // Connections become free only if each is closed after its work, and none waits at a barrier.
  if (batch_->closing == Closing::quit && !batch_->barrier && !cancelled_) return;
  for (; next_ < links_.size(); ++next_) {
    links_[next_]->answer() = {};
    if (batch_->work[next_].empty()) continue;
    links_[next_]->answer().error = cancelled_
                                        ? stopped()
                                        : Error{Errc::file_limit,
                                                "this process may not open enough files for all "
                                                "endpoints; raise the hard limit (ulimit -Hn)"};
    ++finished_;
  }
}

void Session::on_link_connected() { ++progress_.connected; }

void Session::on_link_at_barrier() {
  ++at_barrier_;
  if (!starting_) settle_barrier();
}

void Session::on_link_finished(Link& link) {
  --active_;
  ++finished_;
  ++progress_.answered;
  if (!link.answer().error) note_well_answered();
  if (!due_.empty() && link.answer().error) {
    std::vector<Link*> unsent;
    for (const auto& [when, waiting] : due_) unsent.push_back(waiting);
    fail_waiting(unsent);
  }
  if (finished_ == participants_) timer_.cancel();
  if (starting_) return;
  start_more();
  settle_barrier();
}

/// Opens the barrier when all links are at it. If one has failed, fails all that wait there.
void Session::settle_barrier() {
  if (!batch_->barrier || released_ || at_barrier_ + finished_ < participants_) return;
  released_ = true;
  std::vector<Link*> waiting;
  bool stale = false;
  each_active([&](Link& link) {
    waiting.push_back(&link);
    stale = link.is_stale_at_barrier() || stale;
  });
  if (finished_ > 0) {
    fail_waiting(waiting);
  } else if (stale) {
    fail_waiting(waiting, {Errc::stalled,
                           "this call stood still when all HAProxies were ready, so nothing was "
                           "held; run it again"});
  } else {
    open_barrier();
  }
}

void Session::fail_waiting(const std::vector<Link*>& links) {
  fail_waiting(links,
               {Errc::rolled_back, "nothing was sent, because another endpoint was not ready"});
}

void Session::fail_waiting(const std::vector<Link*>& links, const Error& error) {
  due_.clear();
  align_timer_.cancel();
  for (Link* link : links) {
    if (link->active()) link->fail(error);
  }
}

/// Delays each send by half the difference of its round trip to the longest one, so that all arrive
/// at the same time (docs/haproxy-facts.md, section 8). If the round trips hardly differ, sends all
/// at once: the timer is no more exact than that.
void Session::open_barrier() {
  constexpr Clock::duration negligible = std::chrono::microseconds(500);
  Clock::duration longest{0};
  each_active([&longest](Link& link) {
    longest = std::max(longest, link.round_trip().value_or(Clock::duration(0)));
  });
  const auto now = Clock::now();
  bool apart = false;
  each_active([&](Link& link) {
    const auto ahead = longest - link.round_trip().value_or(longest);
    apart = apart || ahead > negligible;
    due_.emplace_back(now + ahead / 2, &link);
  });
  if (!apart) {
    for (auto& [when, link] : due_) when = now;
  }
  std::stable_sort(due_.begin(), due_.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (!apart) std::reverse(due_.begin(), due_.end());
  release_due();
}

void Session::release_due() {
  while (!due_.empty() && due_.back().first <= Clock::now()) {
    Link* const link = due_.back().second;
    due_.pop_back();
    if (link->active()) link->release();
  }
  if (due_.empty()) return;
  align_timer_.expires_at(due_.back().first);
  align_timer_.async_wait([this](const boost::system::error_code& code) {
    if (!code) release_due();
  });
}

void Session::each_active(const std::function<void(Link&)>& act) {
  for (const auto& link : links_) {
    if (link->active()) act(*link);
  }
}

void Session::cancel() {
  if (finished_ == participants_ || cancelled_) return;
  cancelled_ = true;
  released_ = true;
  due_.clear();
  align_timer_.cancel();
  const Error error = stopped();
  each_active([&error](Link& link) { link.fail(error); });
  start_more();
  timer_.cancel();
}

void Session::on_link_deadline(Clock::time_point deadline) {
  if (armed_for_ && *armed_for_ <= deadline) return;
  armed_for_ = deadline;
  arm_timer();
}

/// One timer for all links: it fails those whose deadline has passed, and is set to the next
/// deadline. All links start their phases at about the same time. So it seldom fires, and never
/// when all goes well.
void Session::arm_timer() {
  timer_.expires_at(*armed_for_);
  timer_.async_wait([this](const boost::system::error_code& code) {
    if (code) {
      if (finished_ == participants_) armed_for_.reset();
      return;
    }
    armed_for_.reset();
    const auto now = Clock::now();
    each_active([now](Link& link) { link.expire(now); });
    fail_late(now);
    // A slow link matters only while there are unfinished ones.
    if (finished_ == participants_) return;
    std::optional<Clock::time_point> next = late_at_;
    each_active([&next](Link& link) {
      const auto due = link.deadline();
      if (due && (!next || *due < *next)) next = due;
    });
    if (next) on_link_deadline(*next);
  });
}

void Session::note_well_answered() {
  ++answered_well_;
  if (batch_->haste != Haste::once_half_answered || late_at_) return;
  const auto now = Clock::now();
  const auto patience = std::max<Clock::duration>(patience_ + more_time(*batch_), now - begun_at_);
  if (2 * answered_well_ >= participants_) call_late(now + patience);
}

void Session::call_late(Clock::time_point when) {
  late_at_ = std::min(when, late_at_.value_or(when));
  on_link_deadline(*late_at_);
}

void Session::fail_late(Clock::time_point now) {
  if (!late_at_ || *late_at_ > now) return;
  late_at_.reset();
  // Who waits at a barrier for others is not late itself: it fails with the last of those.
  const bool gathering = batch_->barrier && !released_;
  each_active([gathering](Link& link) {
    if (!gathering || link.deadline()) link.fail(link.late());
  });
}

/// A peer that accepts and never answers may hang, or have no free connection. If the same process
/// answers other endpoints of this batch, it does not hang.
void Session::name_stats_maxconn() {
  std::set<int> talking;
  bool silent = false;
  for (const auto& link : links_) {
    const auto& error = link->answer().error;
    silent = silent || (error && error->code == Errc::no_greeting);
    if (error || link->answer().replies.empty()) continue;
    if (const auto pid = link->peer_pid()) talking.insert(*pid);
  }
  if (!silent) return;
  for (const auto& link : links_) {
    auto& error = link->answer().error;
    if (!error || error->code != Errc::no_greeting) continue;
    const auto pid = link->peer_pid();
    if (!pid || !talking.contains(*pid)) continue;
    error->code = Errc::stats_maxconn;
    error->message =
        "this HAProxy answers on other endpoints of the fleet, but not here: its 'stats maxconn' "
        "(10 by default, over all its stats sockets) is used up; name only one endpoint per "
        "HAProxy";
  }
}

}  // namespace stillgate::engine
