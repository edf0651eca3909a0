// The choice between gate and maxconn.
#include "method.hpp"

#include <string>

#include <fmt/format.h>

namespace stillgate::hold {

std::optional<std::string> uncounted(const Seen& seen, std::size_t frontend) {
  const auto* gate = seen.gate_switch(frontend);
  if (gate == nullptr) return std::nullopt;
  if (!gate->all_unseen) {
    return "the gate is the Lua file of an older release, which does not count what passes beside "
           "it; install the Lua file that 'stillgate gate' prints, and the lines that it prints "
           "with --config";
  }
  if (*gate->all_unseen == 0) return std::nullopt;
  return fmt::format(
      "{} of {} requests that this frontend began never came to its gate: a rule with a condition "
      "comes before the gate's lines, perhaps in 'defaults'; put the lines before it, and reload",
      *gate->all_unseen, gate->all_counted);
}

std::optional<std::string> too_long(const HoldRequest& request, const Seen& seen,
                                    std::size_t frontend) {
  const auto& proof = seen.gate->proofs.at(frontend);
  const auto asked = request.options.max_hold.count();
  if (!proof.longest_ms || asked < *proof.longest_ms) return std::nullopt;
  return fmt::format(
      "the first 'tcp-request inspect-delay' of this frontend ({}) refuses each connection that "
      "waits {:.3g} s, and this hold may last {:.3g} s; make it longer than --max-hold",
      proof.longest_by, static_cast<double>(*proof.longest_ms) / 1000,
      static_cast<double>(asked) / 1000);
}

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
                 fmt::format("HAProxy below 2.4 switches the gate by a stick table, and the "
                             "backend 'stillgate' with that table is missing; 'stillgate gate "
                             "--config {}' prints it",
                             name)};
  }
  if (request.options.on_reload != OnReload::release && !seen.gate->reloads) {
    return Error{Errc::gate_outdated,
                 "the gate's Lua file is of an older release, which cannot refuse requests in old "
                 "workers; install the one that 'stillgate gate' prints, and reload, or leave out "
                 "--on-reload"};
  }
  if (request.options.accept_unproven) return std::nullopt;
  if (auto why = uncounted(seen, frontend)) {
    return Error{Errc::gate_unproven,
                 fmt::format("{}; --accept-unproven skips the proof", *std::move(why))};
  }
  if (auto why = too_long(request, seen, frontend)) {
    return Error{Errc::gate_unproven,
                 fmt::format("{}; --accept-unproven holds nevertheless", *std::move(why))};
  }
  const auto& doubt = seen.gate->proofs.at(frontend).doubt;
  if (!doubt) return std::nullopt;
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
  const bool needs_gate =
      request.options.method == Method::gate || request.options.on_expiry != Expiry::release ||
      request.options.on_reload != OnReload::release || request.options.max_waiting > 0;
  if (needs_gate) return obstacle;
  if (request.options.method == Method::automatic && seen.gate) {
    target.findings.push_back({std::string(name(obstacle->code)), Level::warning,
                               "held by maxconn instead: " + obstacle->message});
  }
  target.method = by_maxconn;
  return std::nullopt;
}

}  // namespace stillgate::hold
