// Where this process runs, as far as the fate of its guard depends on it: reads /proc, asks
// systemd.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

namespace stillgate::fleet {

/// Of a guard that is started now.
struct GuardFate {
  /// Why it would end with its starter; empty: it outlives it.
  std::string why;
  /// The command to put in front of the guard's, so that it does.
  std::vector<std::string> way_out;
};

/// Takes microseconds; in a service of systemd's the time of two programs, 4 s at most.
[[nodiscard]] GuardFate fate_of_guard(const std::stop_token& stop);

/// $STILLGATE_ACCEPT_SHARED_FATE: the option for all calls of a machine.
[[nodiscard]] bool shared_fate_is_accepted();

}  // namespace stillgate::fleet
