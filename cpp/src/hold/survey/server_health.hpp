// Whether a server is up, and what shows it.
#pragma once

#include <optional>
#include <string>

#include <stillgate/stat.hpp>

namespace stillgate::hold {

/// HAProxy calls a server UP from its start, and from leaving maintenance, on; the first check that
/// passes then makes `UP 1/3` of it `UP` (docs/haproxy-facts.md, section 9).
enum class Up {
  no,
  soon,     ///< by HAProxy's word alone: no check has finished since its last change of state
  unshown,  ///< so likewise, and no check will show it
  shown,    ///< by a check that passed after its last change of state
};

struct ServerHealth {
  Up up{Up::no};
  bool drained{false};     ///< it gets no traffic, and is checked like one that does
  bool falls_once{false};  ///< `fall 1`: nothing tells a check from HAProxy's own word
  std::string words;       ///< what it is: `is DOWN (L4CON)`, `has no health check`
};

/// The row of a server in `show stat`.
[[nodiscard]] ServerHealth health_of(const Stat& stat, const Stat::Row& row);

}  // namespace stillgate::hold
