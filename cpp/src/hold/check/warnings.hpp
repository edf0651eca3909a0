// What endangers a hold without standing against it: warnings, and what the operator should know.
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

/// What the gate counted of that frontend, and what is wrong with it; nothing where there is none.
void tell_gate(Switch& target, const Seen& seen, std::size_t frontend);

/// Above so many connections nobody should ask for all of them: 8,000 take 60 ms of HAProxy's CPU.
inline constexpr std::int64_t most_listed = 2000;

/// What a closer look at one endpoint asks, where that is not too dear: its listeners, if it runs
/// on this machine, and if wanted its streams, in this order.
[[nodiscard]] std::vector<runtime_api::Command> closer_look(const HoldRequest& request,
                                                            std::size_t endpoint, const Seen& seen,
                                                            bool streams);

/// Adds findings from the answer to it, to the switches of that endpoint. Without an answer the
/// limit stands for the queue, which the runtime API does not tell.
void advise_closer(std::vector<Switch>& switches, const HoldRequest& request, std::size_t endpoint,
                   const Seen& seen, const runtime_api::Answer& answer,
                   std::optional<std::chrono::milliseconds> drain_timeout);

}  // namespace stillgate::hold
