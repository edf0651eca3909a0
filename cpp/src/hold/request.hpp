// What is asked of a hold: at which HAProxies, of which frontends, and how.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <stillgate/options.hpp>

namespace stillgate::hold {

struct Question {
  std::vector<std::string> endpoints;  ///< canonical URLs
  std::vector<std::string> frontends;
  Method method{Method::automatic};
  bool accept_unproven{false};
  Expiry on_expiry{Expiry::release};
  std::int64_t max_waiting{0};
  bool accept_hazard{false};
  bool no_lease{false};  ///< nothing shall end a hold by maxconn
  std::chrono::milliseconds max_hold{15'000};
  /// How many connections may wait at the listening TCP ports of this machine.
  std::map<std::uint16_t, std::int64_t> listen_depths;
};

}  // namespace stillgate::hold
