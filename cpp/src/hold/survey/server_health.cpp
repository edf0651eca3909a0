// What `show stat` says of a server.
#include "server_health.hpp"

#include <string_view>

#include <fmt/format.h>

namespace stillgate::hold {
namespace {

bool is_passed(std::string_view check_status) {
  return check_status.ends_with("OK") || check_status.ends_with("OKC");
}

/// No check has passed since it has left maintenance. A server with an agent says `DRAIN (agent)`
/// in place of `DRAIN 1/3`; one that tracks another has no figures.
bool is_half_way(const Stat& stat, const Stat::Row& row) {
  const auto health = stat.number(row, "check_health");
  const auto rise = stat.number(row, "check_rise");
  const auto fall = stat.number(row, "check_fall");
  if (health && rise && fall) return *health < *rise + *fall - 1;
  return stat.text(row, "status").find('/') != std::string_view::npos;
}

std::string named(const Stat& stat, const Stat::Row& row) {
  const auto status = stat.text(row, "status");
  const auto check = stat.text(row, "check_status");
  if (check.empty()) return fmt::format("is {}", status);
  return fmt::format("is {} ({})", status, check);
}

}  // namespace

ServerHealth health_of(const Stat& stat, const Stat::Row& row) {
  const auto status = stat.text(row, "status");
  const auto check = stat.text(row, "check_status");
  ServerHealth health{Up::no, status.starts_with("DRAIN"), stat.number(row, "check_fall") == 1,
                      named(stat, row)};
  if (status == "no check" || (health.drained && check.empty() && !is_half_way(stat, row))) {
    health.up = Up::unshown;
    health.words = "has no health check";
    return health;
  }
  if (!health.drained && !status.starts_with("UP")) return health;
  if (is_half_way(stat, row)) {
    health.up = Up::soon;
    health.words += ": no check has passed since its last change of state";
    return health;
  }
  if (!health.falls_once) {
    health.up = Up::shown;
    return health;
  }
  // There is no `UP 1/1`.
  if (is_passed(check)) {
    health.up = Up::unshown;
    health.words = "has 'fall 1': its last check passed, perhaps before its last change of state";
  } else {
    health.up = Up::soon;
  }
  return health;
}

}  // namespace stillgate::hold
