// Events of holds: what happened, to which hold, and the formats in which it is told.
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

namespace stillgate {

/// The names in `name()` are part of the JSON interface and never change; event_kinds.def has all
/// with their meaning.
enum class EventKind {
#define STILLGATE_EVENT(kind, severity, meaning) kind,
#include <stillgate/event_kinds.def>
#undef STILLGATE_EVENT
};
[[nodiscard]] std::string_view name(EventKind kind) noexcept;
/// All kinds, in the order of the enumeration. For documentation and for tests.
[[nodiscard]] const std::vector<EventKind>& all_event_kinds();
[[nodiscard]] std::optional<EventKind> event_kind(std::string_view name) noexcept;

/// How a line says what happened; words.def has all, and docs/operating.md, "Events", shows each.
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
  std::vector<std::string> endpoints;  ///< of `held` and `rolled_back`: all; in JSON alone
  std::string message;
  std::vector<Figure> figures;  ///< by names of [a-z_]; units end the name: _ms, _s

  // Filled in by whoever writes the event down.
  std::string host;
  std::int64_t pid{0};
  std::uint64_t seq{0};  ///< counts what that writer told, from 1
};

/// Without a line feed at its end, and in JSON and syslog without one inside. Bytes that are no
/// UTF-8 become U+FFFD.
[[nodiscard]] std::string format(const Event& event, EventFormat format);
/// A line of the history; empty where it is none, or was cut short.
[[nodiscard]] std::optional<Event> parse_event(std::string_view line);

/// Who is told of events besides the file `history.jsonl`.
struct EventOptions {
  /// Run by /bin/sh for each event, with the line on its standard input, and not waited for;
  /// empty: none; up to 4,096 bytes.
  std::string on_event;
  EventFormat format{EventFormat::json};  ///< of that line
  /// Called with each line, always JSON, on the thread that makes the call. It must not throw.
  std::function<void(const std::string& line)> on_line;
};

}  // namespace stillgate
