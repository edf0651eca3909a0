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

/// A refusal of HAProxy's that would come again. Not that of a worker which a reload has just
/// replaced ("Proxy is disabled."): the new one may do it.
[[nodiscard]] bool is_final(const Error& refusal);

}  // namespace stillgate::hold::reading
