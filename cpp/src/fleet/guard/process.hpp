// A guard that this process started: its start, the messages to it, and its answers.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

#include "order.hpp"

namespace stillgate::fleet {

/// The guard outlives this object and this process. From the destruction it learns only that nobody
/// talks to it any more. Not thread-safe.
class GuardProcess {
 public:
  /// Starts it, by the command `way_out` if there is one, and waits until it has asked every
  /// endpoint, or the deadline of that has passed. What has not become a guard by then is killed.
  /// Errors: guard_failed with the system's words, or an endpoint's error with its URL in `field`.
  static Result<GuardProcess> start(const GuardOrder& order,
                                    const std::vector<std::string>& way_out,
                                    std::chrono::milliseconds patience,
                                    const std::stop_token& stop);

  GuardProcess(GuardProcess&& other) noexcept;
  GuardProcess& operator=(GuardProcess&& other) noexcept;
  ~GuardProcess();

  /// The endpoints where HAProxy's own `wait` is the guard's backup.
  [[nodiscard]] const std::vector<std::string>& backed() const noexcept { return backed_; }
  /// The hold is in effect. Error: guard_failed, where the guard is not there any more: then
  /// nothing would end the hold.
  std::optional<Error> hold(std::chrono::milliseconds patience);
  /// Nothing is held: it may go.
  void dismiss();
  /// Something may be held that this process could not release: the guard continues to try.
  void end_hold();

  /// Readable when the guard says something or is dead. This object owns it.
  [[nodiscard]] int descriptor() const noexcept { return from_; }

 private:
  GuardProcess(int to, int from) : to_(to), from_(from) {}
  std::optional<Error> take_answer(std::chrono::milliseconds patience, const std::stop_token& stop);
  bool say(std::string_view text) const;
  /// The next line that is no event.
  std::optional<std::string> read_answer(std::chrono::milliseconds patience,
                                         const std::stop_token& stop);
  std::optional<std::string> read_line(std::chrono::milliseconds patience,
                                       const std::stop_token& stop);
  void close() noexcept;

  int to_{-1};
  int from_{-1};
  std::string unread_;
  std::vector<std::string> backed_;
};

}  // namespace stillgate::fleet
