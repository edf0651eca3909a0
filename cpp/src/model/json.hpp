// The JSON of reports and events: written here, and read back from the history. docs/schema.json
// describes it. Bytes that are no UTF-8 become U+FFFD, and numbers that JSON has no word for null.
#pragma once

#include <string>

#include <stillgate/event.hpp>
#include <stillgate/report.hpp>

namespace stillgate {

/// UTC, with milliseconds.
[[nodiscard]] std::string rfc3339(WallTime at);

/// A whole number, or three decimals.
[[nodiscard]] std::string figure_text(const Event::Figure& figure);

/// One line of the history, without its line feed.
[[nodiscard]] std::string to_json(const Event& event);

}  // namespace stillgate
