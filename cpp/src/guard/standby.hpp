// The guard's standby: a second process that knows the hold and takes over when the first one dies.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/loop.hpp"
#include "fleet/guard/order.hpp"
#include "provisions.hpp"

namespace stillgate::guard {

/// The descriptor by which the two processes of a pair watch each other.
inline constexpr int standby_descriptor = 3;
/// Of this program's own file: a standby is started from it, also where there is no /proc.
inline constexpr int program_descriptor = 4;

/// Opens this program's own file as `program_descriptor`. Call first of all: the path may be
/// relative, and the file may be replaced. The words of the system where that failed.
[[nodiscard]] std::optional<std::string> keep_program();

/// The standby as the active process sees it. It never blocks: what a standby that is stopped does
/// not take is sent later. Not thread-safe.
class Standby {
 public:
  explicit Standby(engine::Loop& loop) : loop_(loop) {}
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;
  ~Standby();

  /// Call in every turn: starts one where there is none, sends it the order if it does not have
  /// this revision, and listens to it. One that cannot be had is tried for again, at a slow pace.
  void keep(std::chrono::milliseconds now, const fleet::GuardOrder& order, std::uint64_t revision);
  /// It has what it needs for a takeover.
  [[nodiscard]] bool is_ready() const noexcept { return ready_; }
  /// All of that revision has been given to it.
  [[nodiscard]] bool has(std::uint64_t revision) const noexcept {
    return fd_ >= 0 && sent_ == revision && unsent_.empty();
  }
  /// Why there is none: of the last attempt that failed.
  [[nodiscard]] const std::optional<std::string>& failure() const noexcept { return failure_; }
  /// Whether one that was ready has died since the last call.
  [[nodiscard]] bool take_death() noexcept { return std::exchange(died_, false); }
  /// The hold is over: it goes too.
  void dismiss();

 private:
  void start(std::chrono::milliseconds now, const fleet::GuardOrder& order, std::uint64_t revision);
  void listen(std::chrono::milliseconds now);
  void lose(std::chrono::milliseconds now, std::string why);
  void send(fleet::GuardOrder order, std::uint64_t revision);
  bool flush();
  void close() noexcept;

  engine::Loop& loop_;
  int fd_{-1};
  std::unique_ptr<engine::Watch> watch_;
  bool ready_{false};
  bool died_{false};
  std::string said_;
  std::string unsent_;
  std::size_t written_{0};
  std::uint64_t sent_{0};  ///< the revision whose sending has begun
  std::optional<std::string> failure_;
  std::chrono::milliseconds started_at_{0};
  std::chrono::milliseconds start_at_{0};
  std::chrono::milliseconds pause_{0};
};

/// The standby's life. Takes what a takeover needs, and says so. Returns the order to take over
/// with, or nothing where it was dismissed.
[[nodiscard]] std::optional<fleet::GuardOrder> stand_by(Provisions& provisions);

}  // namespace stillgate::guard
