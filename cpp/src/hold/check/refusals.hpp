// What refuses a hold: the survey, checked against the rules.
#pragma once

#include <vector>

#include <stillgate/report.hpp>

#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/survey/survey.hpp"

namespace stillgate::hold {

/// One switch per endpoint and frontend, in that order, with what was found and, for a refusal,
/// its error. `records`: holds known to be in effect.
[[nodiscard]] std::vector<Switch> weigh(const HoldRequest& request, const std::vector<Seen>& seen,
                                        const std::vector<Record>& records, WallTime now);

/// Checks, and sets in the report how the check ended and whose holds are in effect.
void conclude(Report& report, const HoldRequest& request, const std::vector<Seen>& seen,
              const std::vector<Record>& records, WallTime now);

}  // namespace stillgate::hold
