// What endangers a hold without standing against it: warnings, and what the operator should know.
#pragma once

#include <string>
#include <vector>

#include <stillgate/report.hpp>

#include "../runtime_api/streams.hpp"
#include "findings.hpp"
#include "survey.hpp"

namespace stillgate::hold {

/// Adds findings from the survey. `seen` is without error, and has that frontend.
void advise(Switch& target, const Question& question, const Seen& seen, std::size_t frontend);

/// Adds findings from the streams that HAProxy works on.
void advise(Switch& target, const std::vector<runtime_api::Stream>& streams,
            std::chrono::milliseconds drain_timeout);

/// Above so many connections nobody should ask for all streams: 8,000 take 60 ms of HAProxy's CPU.
inline constexpr std::int64_t most_streams_listed = 2000;

/// How many connections this HAProxy has; 0 where it does not tell.
[[nodiscard]] std::int64_t connections_now(const Seen& seen);

}  // namespace stillgate::hold
