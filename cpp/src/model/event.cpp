// Events as lines for syslog (RFC 5424) and journald.
#include <stillgate/event.hpp>

#include <array>
#include <cstdint>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "json.hpp"
#include "utf8.hpp"

namespace stillgate {
namespace {

constexpr int facility_daemon = 3;
/// Of syslog, RFC 5424.
enum class Severity : std::uint8_t { error = 3, warning = 4, notice = 5 };

struct Kind {
  EventKind kind;
  std::string_view name;
  Severity severity;
};

// In the order of the enumeration.
constexpr std::array kinds{
#define STILLGATE_EVENT(kind, severity, meaning) Kind{EventKind::kind, #kind, Severity::severity},
#include <stillgate/event_kinds.def>
#undef STILLGATE_EVENT
};

constexpr std::array formats{
#define STILLGATE_EVENT_FORMAT(format, meaning) std::string_view(#format),
#include <stillgate/words.def>
};

int severity(EventKind kind) {
  return static_cast<int>(kinds.at(static_cast<std::size_t>(kind)).severity);
}

/// For formats whose end is the line's.
std::string on_one_line(std::string_view text) {
  std::string line = utf8(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

/// The value of an element of syslog's structured data.
std::string parameter(std::string_view text) {
  std::string out;
  for (const char c : on_one_line(text)) {
    if (c == '"' || c == '\\' || c == ']') out += '\\';
    out += c;
  }
  return out;
}

using Fields = std::vector<std::pair<std::string, std::string>>;

/// What the formats of key and value share; what is not there has no field.
Fields fields(const Event& event) {
  Fields all;
  if (event.hold) {
    all.emplace_back("hold_id", event.hold->id);
    all.emplace_back("owner", event.hold->owner);
    if (!event.hold->reason.empty()) all.emplace_back("reason", event.hold->reason);
    all.emplace_back("frontends", fmt::format("{}", fmt::join(event.hold->frontends, ",")));
    all.emplace_back("started_at", rfc3339(event.hold->started_at));
    if (event.hold->deadline) all.emplace_back("deadline", rfc3339(*event.hold->deadline));
  }
  all.emplace_back("source", event.source);
  if (event.endpoint) all.emplace_back("endpoint", *event.endpoint);
  if (event.frontend) all.emplace_back("frontend", *event.frontend);
  all.emplace_back("seq", std::to_string(event.seq));
  for (const auto& figure : event.figures) all.emplace_back(figure.first, figure_text(figure));
  return all;
}

/// RFC 5424 wants printable ASCII there, and a dash for nothing.
std::string host_field(std::string_view host) {
  std::string out;
  for (const char c : host.substr(0, 255)) {
    if (c > ' ' && c < '\x7f') out += c;
  }
  return out.empty() ? "-" : out;
}

std::string syslog(const Event& event) {
  std::string data = "[stillgate@0";
  for (const auto& [key, value] : fields(event)) {
    data += fmt::format(" {}=\"{}\"", key, parameter(value));
  }
  return fmt::format("<{}>1 {} {} stillgate {} {} {}] {}",
                     facility_daemon * 8 + severity(event.kind), rfc3339(event.at),
                     host_field(event.host), event.pid, name(event.kind), data,
                     on_one_line(event.message));
}

std::string journald(const Event& event) {
  std::string out = fmt::format("MESSAGE={}\nPRIORITY={}\nSYSLOG_IDENTIFIER=stillgate\n",
                                on_one_line(event.message), severity(event.kind));
  out += fmt::format("STILLGATE_EVENT={}", name(event.kind));
  for (const auto& [key, value] : fields(event)) {
    std::string upper;
    for (const char c : key) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    out += fmt::format("\nSTILLGATE_{}={}", upper, on_one_line(value));
  }
  return out;
}

}  // namespace

std::string_view name(EventKind kind) noexcept {
  return kinds.at(static_cast<std::size_t>(kind)).name;
}

const std::vector<EventKind>& all_event_kinds() {
  static const std::vector<EventKind> all = [] {
    std::vector<EventKind> list;
    list.reserve(kinds.size());
    for (const Kind& row : kinds) list.push_back(row.kind);
    return list;
  }();
  return all;
}

std::optional<EventKind> event_kind(std::string_view text) noexcept {
  for (const Kind& row : kinds) {
    if (row.name == text) return row.kind;
  }
  return std::nullopt;
}

std::string_view name(EventFormat format) noexcept {
  return formats.at(static_cast<std::size_t>(format));
}

std::optional<EventFormat> event_format(std::string_view text) noexcept {
#define STILLGATE_EVENT_FORMAT(format, meaning) \
  if (text == #format) return EventFormat::format;
#include <stillgate/words.def>
  return std::nullopt;
}

std::string format(const Event& event, EventFormat format) {
  switch (format) {
    case EventFormat::json:
      return to_json(event);
    case EventFormat::syslog:
      return syslog(event);
    case EventFormat::journald:
      return journald(event);
  }
  return {};
}

}  // namespace stillgate
