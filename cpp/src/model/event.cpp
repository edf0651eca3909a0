// Events as lines: JSON, syslog (RFC 5424) and journald.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <ctime>

#include <fmt/format.h>

#include <stillgate/event.hpp>

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

int severity(EventKind kind) {
  return static_cast<int>(kinds.at(static_cast<std::size_t>(kind)).severity);
}

std::string rfc3339(WallTime at) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(since / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     since % 1000);
}

/// How many bytes the UTF-8 character at the front has; 0 where there is none (Unicode, table 3-7).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool beyond = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);
  return overlong || beyond ? 0 : length;
}

/// Goes through the text by characters: `each` gets one, U+FFFD for a byte that belongs to none.
template <class Each>
std::string mapped(std::string_view text, const Each& each) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    out += each(length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

bool is_control(std::string_view character) {
  const auto byte = static_cast<unsigned char>(character[0]);
  return byte < 0x20 || byte == 0x7f;
}

std::string quoted(std::string_view text) {
  return '"' +
         mapped(text,
                [](std::string_view one) {
                  if (one == "\"" || one == "\\") return '\\' + std::string(one);
                  if (one == "\n") return std::string("\\n");
                  if (is_control(one)) return fmt::format("\\u{:04x}", one[0]);
                  return std::string(one);
                }) +
         '"';
}

std::string quoted_or_null(const std::optional<std::string>& text) {
  return text ? quoted(*text) : "null";
}

/// For formats whose end is the line's.
std::string on_one_line(std::string_view text) {
  return mapped(text, [](std::string_view one) {
    return is_control(one) ? std::string(" ") : std::string(one);
  });
}

/// The value of an element of syslog's structured data.
std::string parameter(std::string_view text) {
  return mapped(on_one_line(text), [](std::string_view one) {
    const bool special = one == "\"" || one == "\\" || one == "]";
    return (special ? "\\" : "") + std::string(one);
  });
}

std::string number(const Event::Figure& figure) {
  if (const auto* whole = std::get_if<std::int64_t>(&figure.second)) return std::to_string(*whole);
  const double value = std::get<double>(figure.second);
  // JSON has no word for the others.
  return std::isfinite(value) ? fmt::format("{:.3f}", value) : "null";
}

std::string joined(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, ","));
}

std::string json_hold(const Hold& hold) {
  std::vector<std::string> frontends;
  for (const std::string& name : hold.frontends) frontends.push_back(quoted(name));
  return fmt::format(
      R"({{"id":{},"owner":{},"reason":{},"frontends":[{}],"started_at":"{}","deadline":{},"max_hold_s":{}}})",
      quoted(hold.id), quoted(hold.owner), quoted(hold.reason), joined(frontends),
      rfc3339(hold.started_at), hold.deadline ? quoted(rfc3339(*hold.deadline)) : "null",
      hold.max_hold_s ? fmt::format("{:.3f}", *hold.max_hold_s) : "null");
}

std::string json(const Event& event) {
  std::vector<std::string> endpoints;
  for (const std::string& url : event.endpoints) endpoints.push_back(quoted(url));
  std::vector<std::string> figures;
  for (const auto& figure : event.figures) {
    figures.push_back(fmt::format("{}:{}", quoted(figure.first), number(figure)));
  }
  return fmt::format(
      R"({{"schema":1,"event":"{}","at":"{}","hold":{},"source":{},"host":{},"pid":{},"seq":{},)"
      R"("endpoint":{},"frontend":{},"endpoints":[{}],"message":{},"figures":{{{}}}}})",
      name(event.kind), rfc3339(event.at), event.hold ? json_hold(*event.hold) : "null",
      quoted(event.source), quoted(event.host), event.pid, event.seq,
      quoted_or_null(event.endpoint), quoted_or_null(event.frontend), joined(endpoints),
      quoted(event.message), joined(figures));
}

using Fields = std::vector<std::pair<std::string, std::string>>;

/// What the formats of key and value share; what is not there has no field.
Fields fields(const Event& event) {
  Fields all;
  if (event.hold) {
    all.emplace_back("hold_id", event.hold->id);
    all.emplace_back("owner", event.hold->owner);
    if (!event.hold->reason.empty()) all.emplace_back("reason", event.hold->reason);
    all.emplace_back("frontends", joined(event.hold->frontends));
    all.emplace_back("started_at", rfc3339(event.hold->started_at));
    if (event.hold->deadline) all.emplace_back("deadline", rfc3339(*event.hold->deadline));
  }
  all.emplace_back("source", event.source);
  if (event.endpoint) all.emplace_back("endpoint", *event.endpoint);
  if (event.frontend) all.emplace_back("frontend", *event.frontend);
  all.emplace_back("seq", std::to_string(event.seq));
  for (const auto& figure : event.figures) all.emplace_back(figure.first, number(figure));
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

std::string format(const Event& event, EventFormat format) {
  switch (format) {
    case EventFormat::json:
      return json(event);
    case EventFormat::syslog:
      return syslog(event);
    case EventFormat::journald:
      return journald(event);
  }
  return {};
}

}  // namespace stillgate
