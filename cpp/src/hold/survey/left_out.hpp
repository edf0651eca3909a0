// What `--drain-except` leaves out of a list of streams: by backend, or by a table that tracks
// them.
#pragma once

#include <span>
#include <vector>

#include "hold/record/name_list.hpp"
#include "runtime_api/command.hpp"
#include "runtime_api/reply.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {

/// Each name may also be that of a table in which HAProxy tracks them. Asked behind the list.
[[nodiscard]] std::vector<runtime_api::Command> table_commands(const NameList& except);

/// Takes out what waits for no server, and what is served by a backend that is named.
void leave_out_backends(std::vector<runtime_api::Stream>& streams, const NameList& except);

/// Of each frontend's streams at each backend as many as the answers to `table_commands()` track.
/// They are among `listed`, of which `streams` are a part.
void leave_out_tracked(std::vector<runtime_api::Stream>& streams,
                       const std::vector<runtime_api::Stream>& listed,
                       std::span<const runtime_api::Reply> tables);

}  // namespace stillgate::hold
