// What is asked of a hold: at which HAProxies, of which frontends, and how.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <stillgate/options.hpp>

namespace stillgate::hold {

/// A guard that is started now would end with its starter.
struct SharedFate {
  std::string message;
  bool refuses{false};  ///< a hold by maxconn
};

struct HoldRequest {
  std::vector<std::string> endpoints;  ///< canonical URLs
  std::vector<std::string> frontends;
  SuspendOptions options;
  std::set<std::string> local_endpoints;  ///< those whose HAProxy runs on this machine
  /// How many connections may wait at the listening TCP ports of this machine.
  std::map<std::uint16_t, std::int64_t> listen_depths;
  std::optional<SharedFate> shared_fate;  ///< nothing: the guard outlives its starter
};

}  // namespace stillgate::hold
