// Carrying out a plan: over the engine, the journal, the guard and the clock.
#pragma once

#include <chrono>
#include <stop_token>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/options.hpp>
#include <stillgate/report.hpp>

#include "endpoint_names.hpp"
#include "engine/boot_clock.hpp"
#include "engine/session.hpp"
#include "events.hpp"
#include "fleet/guard/keeper.hpp"
#include "hold/plan.hpp"
#include "journal.hpp"

namespace stillgate::fleet {

struct Means {
  const std::vector<Endpoint>& endpoints;
  const FleetOptions& options;
  Progress& progress;
  EventLog& events;
  GuardKeeper& guard;
  EndpointNames& names;
  /// By which the plan's time passes.
  std::chrono::milliseconds (*clock)() noexcept = engine::boot_time;
};

/// Carries out the plan's steps one after the other until it is done, on the caller's thread.
/// Passes its events on before each step.
[[nodiscard]] Report drive(hold::Plan& plan, const Journal& journal, const Means& means,
                           const std::stop_token& stop);
/// The same over connections that stay open; `fresh`: the first batch opens new ones.
[[nodiscard]] Report drive(hold::Plan& plan, const Journal& journal, const Means& means,
                           engine::Session& session, bool fresh, const std::stop_token& stop);

}  // namespace stillgate::fleet
