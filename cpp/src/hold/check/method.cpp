// The choice between gate and maxconn.
#include "method.hpp"

#include <string>

#include <fmt/format.h>

namespace stillgate::hold {

std::optional<Error> gate_obstacle(const HoldRequest& request, const Seen& seen,
                                   std::size_t frontend) {
  const std::string& name = request.frontends[frontend];
  if (!seen.gate) {
    return Error{Errc::gate_missing, fmt::format("no gate is loaded in this HAProxy; 'stillgate "
                                                 "gate --config {}' prints the lines to add",
                                                 name)};
  }
  if (!seen.has_variables() && !seen.gate->table) {
    return Error{Errc::gate_missing,
                 "HAProxy below 2.4 switches the gate by a stick table, and the backend "
                 "'stillgate' with that table is missing; 'stillgate gate --config' prints it"};
  }
  const auto& doubt = seen.gate->doubts.at(frontend);
  if (!doubt || request.options.accept_unproven) return std::nullopt;
  return Error{
      Errc::gate_unproven,
      fmt::format("a gate is loaded, but the probe of '{}' got no answer from it: the frontend "
                  "lacks the gate's lines, or another rule comes before them; 'stillgate gate "
                  "--config {}' prints the lines, --accept-unproven skips the proof",
                  name, name),
      *doubt};
}

std::optional<Error> choose_method(Switch& target, const HoldRequest& request, const Seen& seen,
                                   std::size_t frontend) {
  auto obstacle = gate_obstacle(request, seen, frontend);
  if (!obstacle && request.options.method != Method::maxconn) {
    target.method = by_gate;
    return std::nullopt;
  }
  const bool needs_gate = request.options.method == Method::gate ||
                          request.options.on_expiry != Expiry::release ||
                          request.options.max_waiting > 0;
  if (needs_gate) return obstacle;
  if (request.options.method == Method::automatic && seen.gate) {
    target.findings.push_back({std::string(name(obstacle->code)), Level::warning,
                               "held by maxconn instead: " + obstacle->message});
  }
  target.method = by_maxconn;
  return std::nullopt;
}

}  // namespace stillgate::hold
