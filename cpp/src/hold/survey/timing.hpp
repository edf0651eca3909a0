// What the timings of a commit say: its window, and how far apart the HAProxies switched.
#pragma once

#include <optional>
#include <vector>

#include "runtime_api/batch.hpp"

namespace stillgate::hold {

/// First byte sent to last answer received; empty where an answer is missing.
[[nodiscard]] std::optional<double> commit_window_ms(
    const std::vector<runtime_api::Answer>& answers);

/// The spread of the instants in the middle between each send and its answer. A path that is
/// slower in one direction is off by half of the difference. Empty where an answer is missing.
[[nodiscard]] std::optional<double> skew_ms(const std::vector<runtime_api::Answer>& answers);

}  // namespace stillgate::hold
