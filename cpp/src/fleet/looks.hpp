// Looking again and again at a fleet, at the cost of one question each.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <stop_token>
#include <string>

#include <stillgate/report.hpp>

#include "drive.hpp"

namespace stillgate::fleet {

/// Its HAProxy runs on this machine, as far as the kind of its socket says.
[[nodiscard]] bool is_local(const Endpoint& endpoint);

/// Connections that stay open, and what had to be asked once. Not thread-safe.
class Looks {
 public:
  /// What `means` refers to must outlive it.
  explicit Looks(const Means& means);

  [[nodiscard]] Report drive(hold::Plan& plan, const Journal& journal, const std::stop_token& stop);
  /// Sets `waiting` of what is held by maxconn on this machine, where the kernel tells it.
  void count_in_kernel(Report& report, const std::stop_token& stop);

 private:
  using Ports = std::map<std::string, std::set<std::uint16_t>>;  ///< by frontend

  void ask_ports(const std::set<std::string>& urls, const std::stop_token& stop);

  Means means_;
  engine::Session session_;
  int looks_{0};
  std::map<std::string, Ports> ports_;  ///< by endpoint
};

}  // namespace stillgate::fleet
