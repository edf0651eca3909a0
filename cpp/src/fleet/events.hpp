// Where events go: a line in history.jsonl, the operator's command, the caller's function.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include <stillgate/event.hpp>

namespace stillgate::fleet {

/// The folder's `history.jsonl`, rotated to `history.jsonl.1` above 4 MB. Processes may share it.
/// For any thread. Never fails, and never waits for a listener.
class EventLog {
 public:
  static constexpr std::int64_t largest_file = 4'000'000;  ///< bytes

  /// `finish` may add to each event before it is written, on the thread that reports it.
  explicit EventLog(std::filesystem::path folder, EventOptions options = {},
                    std::function<void(Event&)> finish = {});

  /// Fills in host, pid and seq. An event that cannot be written is lost: a hold that fails because
  /// its history cannot be written would be worse. The processes of `on_event` may run in any
  /// order: the line has `at` and `seq`.
  void report(Event event) noexcept;

 private:
  void deliver(Event& event);
  void append(const std::string& line) const;

  std::filesystem::path folder_;
  EventOptions options_;
  std::function<void(Event&)> finish_;
  std::string host_;
  std::atomic<std::uint64_t> reported_{0};
};

}  // namespace stillgate::fleet
