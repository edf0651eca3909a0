// The record of a hold, and its one codec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/report.hpp>

namespace stillgate::hold {

struct HeldSwitch {
  std::string endpoint;  ///< canonical URL
  std::string frontend;
  std::int64_t limit_before{0};  ///< 1 to 2^31-1

  bool operator==(const HeldSwitch&) const = default;
};

struct Record {
  std::string id;
  std::string owner;
  std::string reason;
  WallTime started_at;        ///< in whole milliseconds
  bool accept_hazard{false};  ///< the operator overruled the table of hazards
  std::vector<HeldSwitch> switches;

  bool operator==(const Record&) const = default;

  [[nodiscard]] const HeldSwitch* find(std::string_view endpoint, std::string_view frontend) const;
  /// The hold as reports show it.
  [[nodiscard]] Hold summary() const;
};

/// Text of lines `key value`, values percent-encoded, closed by a line `end` so that a file cut
/// short is known as such.
[[nodiscard]] std::string encode(const Record& record);

/// Error: journal_failed, with the line.
[[nodiscard]] Result<Record> decode(std::string_view text);

}  // namespace stillgate::hold
