// An instant as the records write it: milliseconds since the epoch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <stillgate/report.hpp>

#include "model/numbers.hpp"

namespace stillgate::hold {

[[nodiscard]] inline std::int64_t to_ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

[[nodiscard]] inline WallTime in_milliseconds(WallTime time) {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(time);
}

/// Empty unless the whole text is such a number, of an instant that the clock can name.
[[nodiscard]] inline std::optional<WallTime> read_time(std::string_view text) {
  // Beyond that, the clock's own unit overflows.
  static constexpr auto latest =
      std::chrono::duration_cast<std::chrono::milliseconds>(WallTime::duration::max()).count();
  const auto ms = runtime_api::parse_number<std::int64_t>(text);
  if (!ms || *ms < 0 || *ms > latest) return std::nullopt;
  return WallTime(std::chrono::milliseconds(*ms));
}

}  // namespace stillgate::hold
