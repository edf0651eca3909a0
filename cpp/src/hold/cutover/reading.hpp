// What a cutover asks of each HAProxy, and what it makes of the answer.
#pragma once

#include <string>
#include <vector>

#include "cutover_rows.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::hold::reading {

/// The commands for one endpoint.
[[nodiscard]] std::vector<runtime_api::Command> commands(const CutEndpoint& endpoint,
                                                         const CutoverRequest& request);

/// Sets what stands there now, or why that is not known.
void read(CutEndpoint& endpoint, const CutoverRequest& request, const runtime_api::Answer& answer);

}  // namespace stillgate::hold::reading
