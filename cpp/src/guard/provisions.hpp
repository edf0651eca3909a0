// What a guard takes before it says that it is ready, so that it has it in the worst case.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/options.hpp>

#include "engine/loop.hpp"
#include "errands.hpp"
#include "fleet/guard/order.hpp"

namespace stillgate::guard {

/// Memory that no page is used of yet. The first allocation that fails gives it back, and is tried
/// again. One in a process.
class MemoryReserve {
 public:
  /// False where so much is not to be had.
  [[nodiscard]] static bool take(std::size_t bytes) noexcept;
};

/// The loop, the errands' thread, SSH's threads, the right to so many descriptors, and memory: both
/// guards of a pair have their own.
class Provisions {
 public:
  Provisions() = default;
  Provisions(const Provisions&) = delete;
  Provisions& operator=(const Provisions&) = delete;
  ~Provisions() = default;

  /// Takes all that the hold of this order needs. Again after an error: takes what is missing.
  /// Error: guard_failed, with the limit that forbids it, and what to do.
  std::optional<Error> take(const fleet::GuardOrder& order);
  /// Others can see from then on that this guard is alive; see fleet/guard/presence.hpp. Waits so
  /// long for the disk. The first call counts.
  void show(const fleet::GuardOrder& order, std::chrono::milliseconds patience);
  /// For a process that has nothing more to do: ends it where its thread waits for the disk.
  void leave();

  /// A guard can run, if not well in the worst case: there are a loop and a thread for errands.
  [[nodiscard]] bool are_enough() const noexcept { return loop_ && errands_; }
  [[nodiscard]] const FleetOptions& options() const noexcept { return options_; }
  /// These two: if are_enough().
  [[nodiscard]] engine::Loop& loop() noexcept { return *loop_; }
  [[nodiscard]] Errands& errands() noexcept { return *errands_; }

 private:
  FleetOptions options_;
  std::shared_ptr<void> presence_;  ///< the errands' alone, from the first of them on
  bool shown_{false};
  std::unique_ptr<engine::Loop> loop_;
  std::unique_ptr<Errands> errands_;
  std::shared_ptr<void> threads_;
  bool has_memory_{false};
};

/// Of an order's endpoints, in the order in which they come.
[[nodiscard]] std::vector<std::string> endpoints_of(const hold::Record& record);

}  // namespace stillgate::guard
