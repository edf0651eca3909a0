// A guard: keeps one hold by maxconn until its deadline, ends it, and reports what it did.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/boot_clock.hpp"
#include "engine/loop.hpp"
#include "fleet/guard/order.hpp"
#include "fleet/journal.hpp"
#include "guard_events.hpp"
#include "guarded_endpoint.hpp"
#include "hold_state.hpp"
#include "holder.hpp"
#include "provisions.hpp"
#include "standby.hpp"

namespace stillgate::guard {

/// SIGTERM as something to read, instead of the end of the process.
class SignalDescriptor {
 public:
  /// std::system_error where there is no descriptor to be had.
  SignalDescriptor();
  SignalDescriptor(const SignalDescriptor&) = delete;
  SignalDescriptor& operator=(const SignalDescriptor&) = delete;
  ~SignalDescriptor();

  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// The active process, on one thread: a loop that serves the holder, the standby guard and all
/// endpoints. From the holder come `hold`, `leave` and `end`; it gets our answers, and each event
/// as a line of JSON. No exception ends it.
class Guard {
 public:
  /// `received`: what the holder has already sent after the order. `provisions` has taken what the
  /// order needs, and outlives it.
  Guard(const fleet::GuardOrder& order, std::string received, Provisions& provisions);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() = default;

  /// `took_over`: as the standby of a guard that has died.
  void run(bool took_over) noexcept;

 private:
  void make_endpoints();
  void wait();
  void step_endpoints();
  void step(GuardedEndpoint& endpoint, std::chrono::milliseconds now);
  void serve();
  void take_signal();
  void take_lines();
  void obey(const std::string& line);
  void holder_died();
  void keep_promise();
  void tell_end();
  void read_journal();
  void tell_deadline();
  void note_journal(const std::optional<hold::Record>& found);
  void answer_start();
  void refuse(const std::string& endpoint, const Error& error);
  void keep_standby();
  void trim_memory();
  void close_journal();
  void end();

  Provisions& provisions_;
  engine::Loop& loop_;
  Errands& errands_;
  fleet::Journal journal_;
  SignalDescriptor signals_;
  std::vector<std::string> urls_;
  HoldState state_;
  GuardEvents events_;
  Holder holder_;
  std::optional<WallTime> told_deadline_;
  Standby standby_;
  engine::Watch signals_watch_;
  engine::Watch holder_watch_;
  std::vector<std::unique_ptr<GuardedEndpoint>> endpoints_;
  std::vector<GuardedEndpoint*> ready_;  ///< has room for all
  std::chrono::milliseconds next_due_{0};
  std::uint64_t changes_seen_{0};
  bool started_{false};   ///< the start was answered
  bool promised_{false};  ///< `holding` is to be said once the standby guard knows it
  bool leaving_{false};   ///< nothing is held: nothing to end, and nothing to report
  bool in_journal_{false};
  bool reading_journal_{false};
  bool standby_told_{false};  ///< that there is none
  bool confirmed_{false};     ///< the suspend has said that the hold is in effect
  std::chrono::milliseconds begun_at_{engine::boot_time()};
  std::chrono::milliseconds journal_due_at_{0};
  std::chrono::milliseconds trimmed_at_{engine::boot_time()};
};

}  // namespace stillgate::guard
