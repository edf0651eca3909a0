// The guard's standby: a second process that knows the hold and takes over when the first one dies.
#pragma once

#include <optional>
#include <string>

#include "fleet/guard/order.hpp"

namespace stillgate::guard {

/// The descriptor by which the two processes of a pair watch each other.
inline constexpr int standby_descriptor = 3;

/// The standby as the active process sees it. Not thread-safe.
class Standby {
 public:
  Standby() = default;
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;
  ~Standby();

  /// Starts one that shares our standard input and output. False where that failed.
  bool start();
  /// It has this order from now on, in place of the one before.
  void send(fleet::GuardOrder order);
  /// The hold is over: it goes too.
  void dismiss();
  /// Readable or hung up once it is dead; -1 where there is none.
  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  /// Whether it is still there; call when the descriptor has something.
  bool is_alive();

 private:
  void close() noexcept;
  int fd_{-1};
};

/// The standby's life. Returns the order to take over with, or nothing where it was dismissed.
[[nodiscard]] std::optional<fleet::GuardOrder> stand_by();

}  // namespace stillgate::guard
