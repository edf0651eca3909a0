// The process that sends the harmless lines of a proof, and dies for it.
#pragma once

#include <stop_token>

#include <sys/types.h>

#include "hold/plan.hpp"

namespace stillgate::fleet {

/// Its connections close as those of a guard that is killed: by the kernel, all at once. By SSH it
/// has a login of its own. Not thread-safe.
class WaitProver {
 public:
  WaitProver() = default;
  WaitProver(const WaitProver&) = delete;
  WaitProver& operator=(const WaitProver&) = delete;
  ~WaitProver() { end(); }

  /// Returns when every line was sent, or could not be.
  [[nodiscard]] hold::observed::Proving start(const hold::step::ProveWaits& wanted,
                                              const std::stop_token& stop);
  /// Returns when it is dead.
  void end() noexcept;

 private:
  int control_{-1};
  pid_t process_{-1};
};

}  // namespace stillgate::fleet
