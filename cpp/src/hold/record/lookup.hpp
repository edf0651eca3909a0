// Finds the record of a hold among those that are known.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record.hpp"

namespace stillgate::hold {

/// The newest record that holds this frontend at this endpoint, or nullptr.
[[nodiscard]] const Record* find_record(const std::vector<Record>& records,
                                        std::string_view endpoint, std::string_view frontend);

/// Of those that are over: as find_record.
[[nodiscard]] inline const Record* find_untold(const std::vector<Record>& ended,
                                               std::string_view endpoint,
                                               std::string_view frontend) {
  const Record* last = find_record(ended, endpoint, frontend);
  return last != nullptr && last->end && !last->end->told ? last : nullptr;
}

/// From where that record's leaks are counted. An HAProxy below 2.4 does not store it; the
/// journal's record of the same hold does.
[[nodiscard]] std::optional<Counters> counters_before(const Record& record,
                                                      std::string_view endpoint,
                                                      std::string_view frontend,
                                                      const std::vector<Record>& records);

/// A time of the day, as messages show it: in the local zone, with the zone.
[[nodiscard]] std::string clock(WallTime time);
/// The same of any day, with its date.
[[nodiscard]] std::string day_and_clock(WallTime time);

}  // namespace stillgate::hold
