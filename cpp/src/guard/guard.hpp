// A guard: keeps one hold by maxconn until its deadline, ends it, and reports what it did.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "endpoint_thread.hpp"
#include "fleet/boot_clock.hpp"
#include "fleet/guard/order.hpp"
#include "fleet/journal.hpp"
#include "guard_events.hpp"
#include "holder.hpp"
#include "shared_state.hpp"
#include "standby.hpp"

namespace stillgate::guard {

/// The main thread of the active process. From the holder come `hold`, `leave` and `end`; it gets
/// our answers, and each event as a line of JSON.
class Guard {
 public:
  /// `received`: what the holder has already sent after the order.
  Guard(const fleet::GuardOrder& order, std::string received);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard();

  void run();

 private:
  void start_threads();
  void wait();
  void take_lines();
  void obey(const std::string& line);
  void holder_died();
  void interrupt_if_due();
  void read_journal();
  void answer_start();
  void keep_standby();
  void trim_memory();
  void close_journal();

  fleet::Journal journal_;
  int wake_;
  int signals_;
  std::vector<std::string> urls_;
  SharedState state_;
  GuardEvents events_;
  Holder holder_;
  Standby standby_;
  std::vector<std::unique_ptr<EndpointThread>> threads_;
  bool started_{false};      ///< the start was answered
  bool leaving_{false};      ///< nothing is held: nothing to end, and nothing to report
  bool interrupted_{false};  ///< surveys were broken off for the release
  bool in_journal_{false};
  bool confirmed_{false};  ///< the suspend has said that the hold is in effect
  int standbys_started_{0};
  std::uint64_t standby_revision_{0};
  std::chrono::milliseconds begun_at_{fleet::boot_time()};
  std::chrono::milliseconds journal_due_at_{0};
  std::chrono::milliseconds trimmed_at_{fleet::boot_time()};
};

}  // namespace stillgate::guard
