// A guard: keeps one hold by maxconn until its deadline, ends it, and tells what it did.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "endpoint_thread.hpp"
#include "fleet/boot_clock.hpp"
#include "fleet/events.hpp"
#include "fleet/guard/order.hpp"
#include "fleet/journal.hpp"
#include "shared_state.hpp"
#include "standby.hpp"

namespace stillgate::guard {

/// The main thread of the active process. Standard input: `hold`, `leave` and `end` from whoever
/// started it; standard output: its answers, and each event as a line of JSON.
class Guard {
 public:
  /// `heard`: what the holder has said behind the order already.
  Guard(const fleet::GuardOrder& order, std::string heard);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard();

  void run();

 private:
  void start_posts();
  void wait();
  void hear();
  void hear_lines();
  void hear_line(const std::string& line);
  void holder_died();
  void answer();
  void look_at_journal();
  void keep_twin();
  void give_memory_back();
  void end_if_due();
  void tell_notices();
  void tell_expiry(bool last);
  void tell(EventKind kind, const std::string& message, std::optional<std::size_t> post = {},
            const std::string& frontend = {});
  [[nodiscard]] Event event(EventKind kind, const std::string& message) const;
  void close_journal();
  void say(const std::string& line) const;

  fleet::Journal journal_;
  int wake_;
  int signals_;
  Warden warden_;
  fleet::EventLog events_;
  Twin twin_;
  std::vector<std::string> urls_;
  std::vector<std::unique_ptr<Post>> posts_;
  std::string heard_;
  bool holder_there_{true};
  bool started_{false};  ///< `ready` was said
  bool leaving_{false};
  bool in_journal_{false};
  bool ended_{false};     ///< the looks were broken off for the release
  bool released_{false};  ///< by the guard, anywhere
  bool expiry_told_{false};
  int twins_started_{0};
  std::uint64_t twin_revision_{0};
  std::chrono::milliseconds begun_at_{fleet::boot_time()};
  std::chrono::milliseconds journal_at_{0};
  std::chrono::milliseconds trimmed_at_{fleet::boot_time()};
  WallTime released_at_;
  std::vector<std::string> releases_;
  std::vector<std::string> given_up_;
};

}  // namespace stillgate::guard
