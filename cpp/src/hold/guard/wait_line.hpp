// The line that has HAProxy itself end a hold by maxconn, from 3.0 on.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "hold/record/record.hpp"

namespace stillgate::hold {

/// Waits for `left` and then restores the limits of all of the record's switches, which are those
/// of one endpoint. Nothing where HAProxy could not take so long a line, or such a time. Its
/// timeout is the mark by which others find it (hold/waits).
///
/// Up to 3.1 a HAProxy that waits does not see that its peer has gone: it keeps one of its ten
/// connections (`stats maxconn`) until that wait ends. So it waits in pieces, none longer than a
/// tenth of the time before it: of many lines that follow each other about one is lost at a time,
/// and hours need a hundred pieces.
[[nodiscard]] std::optional<std::string> wait_line(const Record& record,
                                                   std::chrono::milliseconds left);

}  // namespace stillgate::hold
