// What is against a cutover: all that is unknown, backends that would be left without a server,
// what could not be undone, and a hold that is over, or somebody else's.
#pragma once

#include <stillgate/report.hpp>

#include "cutover_rows.hpp"

namespace stillgate::hold::proof {

/// Sets the report's ending and error where something is; each change has its own.
void refuse(CutRows& rows, const CutoverRequest& request, Report& report, WallTime now);

}  // namespace stillgate::hold::proof
