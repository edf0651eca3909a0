// Waits for the inner process, and for an alarm that it should have put off.
#include "outer.hpp"

#include <array>
#include <cerrno>

#include <poll.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "course.hpp"
#include "group.hpp"
#include "message.hpp"

namespace stillgate::leash {
namespace {

constexpr int look = 2;  // milliseconds between two looks at what is left of the killed
constexpr int killed = 128 + SIGKILL;

class Outer {
 public:
  Outer(const Shared& shared, Family& family, pid_t inner)
      : shared_(shared), family_(family), inner_(inner) {}

  void run();

 private:
  void wait();
  void hurry() const;
  void reap();
  void end_all();

  const Shared& shared_;
  Family& family_;
  pid_t inner_;
  bool peer_gone_ = false;
  bool inner_gone_ = false;
  bool late_ = false;
  bool alone_ = false;
  int status_ = killed;
};

void Outer::run() {
  while (!inner_gone_ && !late_) wait();
  if (inner_gone_ && shared_.page->over) return;
  end_all();
  say(Said::ended, status_, late_ || shared_.page->by_deadline);
}

void Outer::wait() {
  std::array<pollfd, 3> watched{
      {{peer_gone_ ? -1 : peer, 0, 0}, {shared_.alarm, POLLIN, 0}, {shared_.children, POLLIN, 0}}};
  if (::poll(watched.data(), watched.size(), -1) <= 0) return;
  late_ = watched[1].revents != 0;
  clear(shared_.children);
  reap();
  if (watched[0].revents == 0) return;
  peer_gone_ = true;
  if (!shared_.page->stays) hurry();
}

/// Stillgate is gone, which the inner process sees, too, unless it is stopped.
void Outer::hurry() const {
  const Nanoseconds soon = Nanoseconds(shared_.page->grace) + margin + lag;
  itimerspec left{};
  ::timerfd_gettime(shared_.alarm, &left);
  const Nanoseconds until =
      std::chrono::seconds(left.it_value.tv_sec) + Nanoseconds(left.it_value.tv_nsec);
  if (until == Nanoseconds(0) || until > soon) set_timer(shared_.alarm, now() + soon);
}

void Outer::reap() {
  for (;;) {
    int waited = 0;
    const pid_t pid = ::waitpid(-1, &waited, WNOHANG);
    alone_ = pid < 0 && errno == ECHILD;
    if (pid <= 0) return;
    if (pid == inner_) inner_gone_ = true;
    if (pid == shared_.page->command) status_ = exit_status(waited);
  }
}

/// The inner process is one of them.
void Outer::end_all() {
  const Instant give_up_at = now() + reaping;
  for (reap(); !alone_ && now() < give_up_at; reap()) {
    family_.kill();
    shared_.group->kill();
    pollfd children{shared_.children, POLLIN, 0};
    ::poll(&children, 1, look);
    clear(shared_.children);
  }
}

}  // namespace

void run_outer(const Shared& shared, Family& family, pid_t inner) {
  Outer(shared, family, inner).run();
  shared.group->remove();
}

}  // namespace stillgate::leash
