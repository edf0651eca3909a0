// What endangers a hold but does not refuse it: warnings and informations.
#pragma once

#include <string>
#include <vector>

#include <stillgate/report.hpp>

#include "hold/request.hpp"
#include "hold/survey/survey.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// Adds findings from the survey. `seen` is without error, and has that frontend.
void advise(Switch& target, const HoldRequest& request, const Seen& seen, std::size_t frontend);

/// Adds the gate's counters for that frontend, and warnings about the gate, if there is one.
void tell_gate(Switch& target, const Seen& seen, std::size_t frontend);

/// Adds that another process answers than when the hold's counters were taken.
void tell_reload(Switch& target, const Seen& seen, const std::optional<Counters>& before,
                 bool by_gate);

/// Above this number of connections do not list them: 8,000 take 60 ms of HAProxy's CPU.
inline constexpr std::int64_t most_listed = 2000;

/// The commands for more detail of one endpoint, unless they cost too much: its listeners, if it
/// runs on this machine, then its streams, if `streams`.
[[nodiscard]] std::vector<runtime_api::Command> closer_look(const HoldRequest& request,
                                                            std::size_t endpoint, const Seen& seen,
                                                            bool streams);

/// Adds findings from the answer to it, to the switches of that endpoint. Without an answer the
/// frontend's limit is used for the queue, because the runtime API does not report the backlog.
void advise_closer(std::vector<Switch>& switches, const HoldRequest& request, std::size_t endpoint,
                   const Seen& seen, const runtime_api::Answer& answer,
                   std::optional<std::chrono::milliseconds> drain_timeout);

}  // namespace stillgate::hold
