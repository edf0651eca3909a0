// Where events go: a line in history.jsonl, the operator's command, the caller's function.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

#include <stillgate/event.hpp>

namespace stillgate::fleet {

/// The folder's `history.jsonl`, rotated to `history.jsonl.1` above 4 MB. Processes may share it.
/// Tells from any thread; never fails and never waits for whoever listens.
class EventLog {
 public:
  static constexpr std::int64_t largest_file = 4'000'000;  ///< bytes

  explicit EventLog(std::filesystem::path folder, EventOptions options = {});

  /// Host, pid and seq are filled in; what cannot be written is lost, because a hold that fails
  /// for want of its history would be worse. Order among the processes of the command is not
  /// promised: the line has `at` and `seq`.
  void tell(Event event) noexcept;

 private:
  void deliver(Event& event);
  void append(const std::string& line) const;

  std::filesystem::path folder_;
  EventOptions options_;
  std::string host_;
  std::atomic<std::uint64_t> told_{0};
};

}  // namespace stillgate::fleet
