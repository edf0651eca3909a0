// Waits for orders, the clock, the command and the outer process, and does what the course says.
#include "inner.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>

#include <poll.h>
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
    streams + 2;  // descriptors to start a command, or to look into /proc

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

class Inner {
 public:
  Inner(const Shared& shared, char* const* arguments)
      : shared_(shared),
        arguments_(arguments),
        clock_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {}

  [[nodiscard]] bool prepare() const;
  void run();

 private:
  void wait();
  void listen();
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
  std::optional<Course> course_;
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
    if (unstarted_ || (!course_ && (peer_gone_ || outer_gone_))) return;
    if (course_ && (peer_gone_ || outer_gone_)) course_->lose(now());
    if (course_ && act()) return report();
    wait();
    reap();
  }
}

void Inner::wait() {
  // A negative descriptor is not looked at.
  std::array<pollfd, 4> watched{{{peer_gone_ ? -1 : peer, POLLIN, 0},
                                 {outer_gone_ ? -1 : shared_.outer, POLLIN, 0},
                                 {clock_, POLLIN, 0},
                                 {shared_.children, POLLIN, 0}}};
  if (::poll(watched.data(), watched.size(), -1) <= 0) return;
  clear(clock_);
  clear(shared_.children);
  outer_gone_ = outer_gone_ || watched[1].revents != 0;
  if (watched[0].revents != 0) listen();
}

void Inner::listen() {
  const auto received = receive(peer_gone_);
  if (!received) return;
  if (received->told.kind == Told::start && !course_) {
    start(*received);
  } else if (course_) {
    obey(received->told);
  }
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
