// Waits for orders, the clock, the command and the outer process, and does what the course says.
#include "inner.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.hpp"
#include "course.hpp"
#include "family.hpp"
#include "group.hpp"
#include "message.hpp"

namespace stillgate::leash {
namespace {

constexpr std::size_t reserve =
    streams + 3;  // descriptors to start a command behind another, or to look into /proc
constexpr int waking_ms = 50;  // how often Stillgate is continued where it is to be awake

/// What can be had now can be had later, too.
bool has_reserve() {
  std::array<int, reserve> kept{};
  for (int& one : kept) one = ::dup(peer);
  for (const int one : kept) ::close(one);
  return kept.back() >= 0;
}

/// Each NAME=VALUE, which ends with a NUL.
void add_to_environment(const std::string& pairs) {
  for (std::size_t at = 0; at < pairs.size();) {
    const std::string pair(pairs.c_str() + at);
    const std::size_t mark = pair.find('=');
    if (mark != std::string::npos) {
      ::setenv(pair.substr(0, mark).c_str(), pair.c_str() + mark + 1, 1);
    }
    at += pair.size() + 1;
  }
}

/// Of whoever has started the leash; -1 where it cannot be had.
int pidfd_of_peer() {
  ucred peers{};
  socklen_t size = sizeof peers;
  if (::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &peers, &size) != 0 || peers.pid <= 0) return -1;
  return static_cast<int>(::syscall(SYS_pidfd_open, peers.pid, 0));
}

void close_all(const std::array<int, streams>& given) {
  for (const int stream : given) {
    if (stream >= 0) ::close(stream);
  }
}

class Inner {
 public:
  Inner(const Shared& shared, char* const* arguments)
      : shared_(shared),
        arguments_(arguments),
        clock_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)),
        stillgate_(pidfd_of_peer()) {}

  [[nodiscard]] bool prepare() const;
  void run();

 private:
  void wait();
  void listen();
  void arm(const Received& received);
  void disarm();
  [[nodiscard]] Instant due() const;
  [[nodiscard]] bool is_due() const;
  [[nodiscard]] bool keeps_awake() const;
  void start_armed();
  void start(const Received& received);
  void obey(const Told& told);
  void reap();
  [[nodiscard]] bool act();
  void carry_out(Order order);
  void report() const;

  const Shared& shared_;
  char* const* arguments_;
  Family family_;
  int clock_;
  int stillgate_;
  std::optional<Course> course_;
  std::optional<Received> armed_;
  /// Of the process that has to be gone before; -1: there is none, or it is gone.
  int before_ = -1;
  bool peer_gone_ = false;
  bool outer_gone_ = false;
  bool unstarted_ = false;
  pid_t command_ = -1;
  int status_ = -1;
  bool alone_ = false;
};

bool Inner::prepare() const {
  if (!family_.is_visible()) {
    say(Said::unstarted, ENOENT);
    return false;
  }
  if (clock_ < 0 || !has_reserve()) {
    say(Said::unstarted, EMFILE);
    return false;
  }
  say(Said::ready, ::getpid(), false, shared_.group->killer());
  return true;
}

void Inner::run() {
  for (;;) {
    if (!course_ && !outer_gone_ && is_due()) start_armed();
    const bool waits = armed_ && !outer_gone_;
    if (unstarted_ || (!course_ && !waits && (peer_gone_ || outer_gone_))) return;
    const bool lost = outer_gone_ || (peer_gone_ && !shared_.page->stays);
    if (course_ && lost) course_->lose(now());
    if (course_ && act()) return report();
    wait();
    reap();
  }
}

void Inner::wait() {
  // A negative descriptor is not looked at.
  std::array<pollfd, 5> watched{{{peer_gone_ ? -1 : peer, POLLIN, 0},
                                 {outer_gone_ ? -1 : shared_.outer, POLLIN, 0},
                                 {clock_, POLLIN, 0},
                                 {shared_.children, POLLIN, 0},
                                 {is_due() ? before_ : -1, POLLIN, 0}}};
  if (armed_ && !is_due()) set_timer(clock_, due());
  const int found = ::poll(watched.data(), watched.size(), keeps_awake() ? waking_ms : -1);
  if (found == 0) ::syscall(SYS_pidfd_send_signal, stillgate_, SIGCONT, nullptr, 0);
  if (found <= 0) return;
  clear(clock_);
  clear(shared_.children);
  outer_gone_ = outer_gone_ || watched[1].revents != 0;
  if (watched[0].revents != 0) listen();
}

void Inner::listen() {
  const auto received = receive(peer_gone_);
  if (!received) return;
  const Told& told = received->told;
  if (course_) {
    // It was started sooner than Stillgate says so.
    close_all(received->given);
    return obey(told);
  }
  if (told.kind == Told::start) {
    disarm();
    start(*received);
  } else if (told.kind == Told::arm) {
    arm(*received);
  } else if (told.kind == Told::disarm || told.kind == Told::end) {
    disarm();
    shared_.page->stays = false;
    if (told.kind == Told::disarm) say(Said::disarmed, 1);
  } else if (told.kind == Told::ask) {
    say(Said::disarmed, 1);
  } else if (told.kind == Told::move && armed_) {
    armed_->told.deadline = told.deadline;
  }
}

void Inner::arm(const Received& received) {
  disarm();
  armed_ = received;
  const auto after = static_cast<pid_t>(received.told.after);
  // One that is gone already has none.
  if (after > 0) before_ = static_cast<int>(::syscall(SYS_pidfd_open, after, 0));
  shared_.page->stays = true;
}

/// A command that starts after all goes on without Stillgate, as it would have begun without it.
void Inner::disarm() {
  if (!armed_) return;
  close_all(armed_->given);
  armed_.reset();
  if (before_ >= 0) ::close(before_);
  before_ = -1;
}

Instant Inner::due() const {
  return Instant(armed_->told.deadline) - Nanoseconds(armed_->told.share);
}

/// Stillgate is gone; or it is stopped, or so slow that later would be too late.
bool Inner::is_due() const { return armed_ && (peer_gone_ || now() >= due()); }

/// Stopped between two HAProxies, it would leave the new code on one and the old code on the other.
bool Inner::keeps_awake() const {
  return armed_ && armed_->told.awake != 0 && stillgate_ >= 0 && !peer_gone_ && !is_due();
}

void Inner::start_armed() {
  pollfd before{before_, POLLIN, 0};
  if (before_ >= 0 && ::poll(&before, 1, 0) <= 0) return;
  const Received received = *armed_;
  armed_.reset();
  // Behind the deadline the old code is at work again.
  if (now() + margin < Instant(received.told.deadline)) start(received);
}

void Inner::start(const Received& received) {
  course_.emplace(Instant(received.told.deadline), Nanoseconds(received.told.grace),
                  received.told.gently != 0 ? Order::interrupt : Order::terminate);
  shared_.page->grace = received.told.grace;
  // The outer process keeps the deadline while this one waits for the exec.
  set_timer(shared_.alarm, course_->kill_at() + lag);
  add_to_environment(received.environment);
  const Started started = start_command(arguments_, received.given, shared_.mask, *shared_.group);
  if (started.pid < 0) {
    unstarted_ = true;
    return say(Said::unstarted, started.error);
  }
  command_ = started.pid;
  shared_.page->command = command_;
  say(Said::started, command_);
}

void Inner::obey(const Told& told) {
  switch (told.kind) {
    case Told::move:
      return course_->move(Instant(told.deadline));
    case Told::end:
      return course_->end(now());
    case Told::interrupt:
      return course_->interrupt(now());
    case Told::kill:
      return course_->kill(now());
    case Told::disarm:
    case Told::ask:
      return say(Said::disarmed, 0);
    default:
      return;
  }
}

void Inner::reap() {
  if (!course_) return;
  for (;;) {
    int waited = 0;
    const pid_t pid = ::waitpid(-1, &waited, WNOHANG);
    // Without children there are no grandchildren either: orphans become children.
    alone_ = pid < 0 && errno == ECHILD;
    if (pid <= 0) return;
    if (pid != command_) continue;
    status_ = exit_status(waited);
    course_->ended(now());
  }
}

bool Inner::act() {
  const Step step = course_->next(now(), alone_);
  shared_.page->by_deadline = course_->ended_by_deadline();
  set_timer(shared_.alarm, course_->kill_at() + lag);
  if (step.order) carry_out(*step.order);
  set_timer(clock_, step.wake);
  return step.over;
}

void Inner::carry_out(Order order) {
  switch (order) {
    case Order::interrupt:
      return family_.tell(SIGINT);
    case Order::terminate:
      return family_.tell(SIGTERM);
    case Order::kill:
      family_.kill();
      return shared_.group->kill();
  }
}

void Inner::report() const {
  // What survives even SIGKILL for a while has not ended by itself.
  const bool by_deadline = course_->ended_by_deadline() || status_ < 0;
  say(Said::ended, status_ < 0 ? 0 : status_, by_deadline);
}

}  // namespace

void run_inner(const Shared& shared, char* const* arguments) {
  Inner inner(shared, arguments);
  if (inner.prepare()) inner.run();
  shared.group->remove();
  shared.page->over = true;
}

}  // namespace stillgate::leash
