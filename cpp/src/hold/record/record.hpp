// The record of a hold, and its one codec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/report.hpp>

#include "name_list.hpp"

namespace stillgate::hold {

/// What had reached servers when the hold was found drained; leaks are counted from there.
struct Counters {
  std::int64_t pid{0};      ///< of the process that counted; another one's numbers say nothing
  std::int64_t reached{0};  ///< sessions of all backends
  std::int64_t begun{0};    ///< requests of the frontend; in tcp mode its connections

  bool operator==(const Counters&) const = default;
};

/// What ends a hold by maxconn. The gate ends its own.
enum class Lease {
  none,    ///< nothing, or the gate
  guard,   ///< the guard
  backed,  ///< the guard, with HAProxy's own `wait` as its backup
};

/// As reports say it: none, guard, guard+wait.
[[nodiscard]] std::string_view word(Lease lease) noexcept;

struct HeldSwitch {
  std::string endpoint;  ///< canonical URL
  std::string frontend;
  std::int64_t limit_before{0};  ///< 1 to 2^31-1
  std::optional<Counters> counters{};
  Lease lease{Lease::none};
  NameList down{};  ///< backends without a server when the hold began

  bool operator==(const HeldSwitch&) const = default;
};

/// How a hold ended, in its record when it is over.
struct RecordEnd {
  End how{};
  WallTime at;      ///< in whole milliseconds
  std::string by;   ///< as HoldEnd::by; empty: unknown
  bool told{true};  ///< a resume ended it, or has told that it came too late

  bool operator==(const RecordEnd&) const = default;
};

struct Record {
  std::string id;
  std::string owner;
  std::string reason;
  WallTime started_at;                 ///< in whole milliseconds
  std::optional<WallTime> deadline{};  ///< in whole milliseconds; empty: only a resume ends it
  bool accept_hazard{false};           ///< the operator overruled the table of hazards
  bool ramping{false};                 ///< a resume has begun to raise the limits step by step
  std::vector<HeldSwitch> switches;
  std::optional<RecordEnd> end{};  ///< empty: it has not ended, as far as is known

  bool operator==(const Record&) const = default;

  [[nodiscard]] const HeldSwitch* find(std::string_view endpoint, std::string_view frontend) const;
  /// The same hold with only this switch, or without switches if it has no such switch.
  [[nodiscard]] Record only(std::string_view endpoint, std::string_view frontend) const;
  /// The hold as reports show it.
  [[nodiscard]] Hold summary() const;
};

/// Adds the hold to those of the report, once.
void add_hold(Report& report, const Record& record);

/// A record in two: what of it is over, and what is left.
struct Parted {
  Record over;
  Record left;
};

/// Of these, the records whose deadline has passed and of which the report shows switches open.
/// HAProxy itself ended a hold by the gate, and no event reported it. `over` says how it ended.
[[nodiscard]] std::vector<Parted> ended_records(const Report& report,
                                                const std::vector<Record>& records, WallTime now);
/// Who ends a hold at its deadline, as HoldEnd::by: its guard, else the gate.
[[nodiscard]] std::string_view ender(const HeldSwitch& held) noexcept;

/// An id names the journal's file and variables of HAProxy's: nothing that could lead out of its
/// folder, or that no name could have.
[[nodiscard]] bool is_hold_id(std::string_view id);

/// Any bytes as one word without spaces and control characters, and back; nothing if the word is
/// malformed.
[[nodiscard]] std::string escape(std::string_view text);
[[nodiscard]] std::optional<std::string> unescape(std::string_view word);

/// Text of lines `key value`, values percent-encoded, closed by a line `end` so that a file cut
/// short is known as such.
[[nodiscard]] std::string encode(const Record& record);

/// Error: journal_failed, with the line.
[[nodiscard]] Result<Record> decode(std::string_view text);

}  // namespace stillgate::hold
