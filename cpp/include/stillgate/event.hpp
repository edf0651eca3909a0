// Events of holds: what happened to which hold, and the formats of its line.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <stillgate/report.hpp>

namespace [[gnu::visibility("default")]] stillgate {

/// The names in `name()` are part of the JSON interface and never change; event_kinds.def has all
/// kinds with their meaning.
enum class EventKind {
#define STILLGATE_EVENT(kind, severity, meaning) kind,
#include <stillgate/event_kinds.def>
#undef STILLGATE_EVENT
};
[[nodiscard]] std::string_view name(EventKind kind) noexcept;
/// All kinds, in the order of the enumeration. For documentation and for tests.
[[nodiscard]] const std::vector<EventKind>& all_event_kinds();
[[nodiscard]] std::optional<EventKind> event_kind(std::string_view name) noexcept;

/// The format of an event's line; words.def has all, and docs/operating.md, "Events", shows each.
enum class EventFormat {
#define STILLGATE_EVENT_FORMAT(format, meaning) format,
#include <stillgate/words.def>
};
[[nodiscard]] std::string_view name(EventFormat format) noexcept;
[[nodiscard]] std::optional<EventFormat> event_format(std::string_view name) noexcept;

struct Event {
  using Figure = std::pair<std::string, std::variant<std::int64_t, double>>;

  EventKind kind{};
  WallTime at;
  std::optional<Hold> hold;             ///< empty for a check
  std::string source;                   ///< "check", "suspend", "extend", "resume" or "guard"
  std::optional<std::string> endpoint;  ///< empty: the hold as a whole
  std::optional<std::string> frontend;
  std::optional<std::string> endpoint_name{};  ///< the short one; filled in as the next ones are
  std::vector<std::string>
      endpoints;  ///< all of the hold's, for events that concern all; in JSON only
  std::string message;
  std::vector<Figure> figures;  ///< by names of [a-z_]; units end the name: _ms, _s

  // Filled in when the event is written.
  std::string host;
  std::int64_t pid{0};
  std::uint64_t seq{0};  ///< counts the events of that process, from 1
};

/// One line (journald: several) without a final line feed. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string format(const Event& event, EventFormat format);
/// A line of the history; empty where it is none, or was cut short.
[[nodiscard]] std::optional<Event> parse_event(std::string_view line);

/// Who gets events, besides the file `history.jsonl`.
struct EventOptions {
  /// A command for /bin/sh, at most 4,096 bytes; empty: none. It is started for each event with the
  /// line on its standard input, and not waited for.
  std::string on_event;
  EventFormat format{EventFormat::json};  ///< of that line
  /// Called with each line, always as JSON, on the thread that makes the call. Must not throw.
  std::function<void(const std::string& line)> on_line;
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
