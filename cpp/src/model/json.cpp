// Reports and events to JSON, and a stored line back to an event.
#include "json.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include <fmt/format.h>

#include "numbers.hpp"
#include "utf8.hpp"

namespace stillgate {
namespace {

namespace json = boost::json;

constexpr std::int64_t schema = 1;

// --- writing ---------------------------------------------------------------------------

json::value to_value(const std::string& text) { return json::value(utf8(text)); }
json::value to_value(std::string_view name) { return json::value(name); }
json::value to_value(std::int64_t number) { return number; }
json::value to_value(bool truth) { return truth; }
json::value to_value(WallTime time) { return json::value(rfc3339(time)); }

json::value to_value(double number) {
  if (std::isfinite(number)) return number;
  return nullptr;
}

json::value to_value(const Error& error);
json::value to_value(const Finding& finding);
json::value to_value(const GateCounters& counters);
json::value to_value(const OldWorkers& old);
json::value to_value(const HoldEnd& end);
json::value to_value(const Switch& one);
json::value to_value(const CutoverChange& change);
json::value to_value(const CutoverResult& cutover);

template <class T>
json::value to_value(const std::optional<T>& value) {
  if (value) return to_value(*value);
  return nullptr;
}

template <class T>
json::array to_array(const std::vector<T>& values) {
  json::array array;
  array.reserve(values.size());
  for (const T& one : values) array.push_back(to_value(one));
  return array;
}

json::value to_value(const Error& error) {
  return json::object{{"code", to_value(name(error.code))},
                      {"message", to_value(error.message)},
                      {"haproxy", to_value(error.haproxy)},
                      {"partial", to_value(error.partial)}};
}

json::value to_value(const Finding& finding) {
  return json::object{{"code", to_value(finding.code)},
                      {"level", to_value(name(finding.level))},
                      {"message", to_value(finding.message)}};
}

json::value to_value(const GateCounters& counters) {
  return json::object{{"most_waiting", counters.most_waiting},
                      {"held", counters.held},
                      {"released", counters.released},
                      {"given_up", counters.given_up},
                      {"rejected", counters.rejected},
                      {"longest_wait_ms", to_value(counters.longest_wait_ms)},
                      {"bound", to_value(counters.bound)},
                      {"bound_by", to_value(counters.bound_by)}};
}

json::value to_value(const OldWorkers& old) {
  return json::object{{"waiting", old.waiting},
                      {"released", old.released},
                      {"rejected", old.rejected},
                      {"silent", old.silent},
                      {"pids", to_value(old.pids)}};
}

json::value to_value(const HoldEnd& end) {
  return json::object{{"how", to_value(name(end.how))},
                      {"at", to_value(end.at)},
                      {"by", to_value(end.by)},
                      {"requests_since", to_value(end.requests_since)}};
}

json::value to_value(const Switch& one) {
  return json::object{{"endpoint", to_value(one.endpoint)},
                      {"frontend", to_value(one.frontend)},
                      {"hold_id", to_value(one.hold_id)},
                      {"verdict", to_value(name(one.verdict))},
                      {"method", to_value(one.method)},
                      {"lease", to_value(one.lease)},
                      {"limit_before", to_value(one.limit_before)},
                      {"limit_now", to_value(one.limit_now)},
                      {"waiting", to_value(one.waiting)},
                      {"gate", to_value(one.gate)},
                      {"in_flight", to_value(one.in_flight)},
                      {"leaked", to_value(one.leaked)},
                      {"version", to_value(one.version)},
                      {"rtt_ms", to_value(one.rtt_ms)},
                      {"findings", to_array(one.findings)},
                      {"error", to_value(one.error)},
                      {"ended", to_value(one.ended)},
                      {"old_workers", to_value(one.old_workers)},
                      {"endpoint_name", to_value(one.endpoint_name)},
                      {"rate", to_value(one.rate)}};
}

json::value to_value(const CutoverChange& change) {
  return json::object{{"endpoint", to_value(change.endpoint)},
                      {"what", to_value(change.what)},
                      {"before", to_value(change.before)},
                      {"wanted", to_value(change.wanted)},
                      {"now", to_value(change.now)},
                      {"written", change.written},
                      {"state", to_value(name(change.state))},
                      {"error", to_value(change.error)},
                      {"endpoint_name", to_value(change.endpoint_name)}};
}

json::value to_value(const CutoverResult& cutover) {
  return json::object{{"name", to_value(cutover.name)},
                      {"state", to_value(name(cutover.state))},
                      {"changes", to_array(cutover.changes)},
                      {"unshown", to_array(cutover.unshown)}};
}

json::object to_object(const Hold& hold) {
  return {{"id", to_value(hold.id)},
          {"owner", to_value(hold.owner)},
          {"reason", to_value(hold.reason)},
          {"frontends", to_array(hold.frontends)},
          {"started_at", to_value(hold.started_at)},
          {"deadline", to_value(hold.deadline)},
          {"max_hold_s", to_value(hold.max_hold_s)}};
}

json::array holds_of(const Report& report) {
  json::array holds;
  for (const Hold& hold : report.holds) {
    json::object told = to_object(hold);
    // For whoever knows the history.
    told["events"] = json::array();
    holds.push_back(std::move(told));
  }
  return holds;
}

json::object figures_of(const Event& event) {
  json::object figures;
  for (const auto& [name, value] : event.figures) {
    figures[name] = std::visit([](auto number) { return to_value(number); }, value);
  }
  return figures;
}

json::object to_object(const Event& event) {
  json::object told{{"schema", schema},
                    {"event", to_value(name(event.kind))},
                    {"at", to_value(event.at)},
                    {"hold", nullptr},
                    {"source", to_value(event.source)},
                    {"host", to_value(event.host)},
                    {"pid", event.pid},
                    {"seq", event.seq},
                    {"endpoint", to_value(event.endpoint)},
                    {"frontend", to_value(event.frontend)},
                    {"endpoints", to_array(event.endpoints)},
                    {"message", to_value(event.message)},
                    {"figures", figures_of(event)},
                    {"endpoint_name", to_value(event.endpoint_name)}};
  if (event.hold) told["hold"] = to_object(*event.hold);
  return told;
}

/// As Boost.JSON does it, but for fractions, which it writes as 1.5E0: people read these lines.
void write(std::string& out, const json::value& value) {
  std::string_view before;
  switch (value.kind()) {
    case json::kind::object:
      out += '{';
      for (const auto& [key, one] : value.get_object()) {
        out += fmt::format("{}{}:", std::exchange(before, ","), json::serialize(key));
        write(out, one);
      }
      out += '}';
      return;
    case json::kind::array:
      out += '[';
      for (const json::value& one : value.get_array()) {
        out += std::exchange(before, ",");
        write(out, one);
      }
      out += ']';
      return;
    case json::kind::double_:
      out += fmt::format("{:.3f}", value.get_double());
      return;
    default:
      out += json::serialize(value);
  }
}

// --- reading ---------------------------------------------------------------------------

bool read(const json::value& told, std::string& text) {
  if (!told.is_string()) return false;
  text = told.get_string();
  return true;
}

bool read(const json::value& told, std::int64_t& number) {
  if (!told.is_int64()) return false;
  number = told.get_int64();
  return true;
}

bool read(const json::value& told, std::uint64_t& number) {
  boost::system::error_code failure;
  number = told.is_double() ? 0 : told.to_number<std::uint64_t>(failure);
  return !told.is_double() && !failure;
}

bool read(const json::value& told, double& number) {
  boost::system::error_code failure;
  number = told.to_number<double>(failure);
  return !failure && std::isfinite(number);
}

bool read(const json::value& told, WallTime& time) {
  std::string text;
  if (!read(told, text)) return false;
  std::tm parts{};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string_view fraction(end == nullptr ? "" : end);  // .007Z
  // The clock's own unit has no other years.
  if (fraction.size() != 5 || parts.tm_year < 70 || parts.tm_year > 361) return false;
  const auto milliseconds = runtime_api::parse_number<int>(fraction.substr(1, 3)).value_or(0);
  time = WallTime(std::chrono::seconds(::timegm(&parts)) + std::chrono::milliseconds(milliseconds));
  return rfc3339(time) == text;
}

bool read(const json::value& told, EventKind& kind) {
  std::string text;
  const auto found = read(told, text) ? event_kind(text) : std::nullopt;
  if (found) kind = *found;
  return found.has_value();
}

bool read(const json::value& told, std::vector<std::string>& texts) {
  if (!told.is_array()) return false;
  for (const json::value& one : told.get_array()) {
    if (!read(one, texts.emplace_back())) return false;
  }
  return true;
}

bool read(const json::value& told, std::vector<Event::Figure>& figures) {
  if (!told.is_object()) return false;
  for (const auto& [key, value] : told.get_object()) {
    // The formats of key and value take it as it is.
    const std::string_view name = key;
    const bool is_name = !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") ==
                                              std::string_view::npos;
    if (!is_name) return false;
    std::int64_t whole = 0;
    double fraction = 0;
    if (read(value, whole)) {
      figures.emplace_back(name, whole);
    } else if (read(value, fraction)) {
      figures.emplace_back(name, fraction);
    } else if (!value.is_null()) {
      return false;
    }
  }
  return true;
}

bool read(const json::value& told, Hold& hold);

template <class T>
bool read(const json::value& told, std::optional<T>& value) {
  return told.is_null() || read(told, value.emplace());
}

template <class T>
bool take(const json::object& told, std::string_view name, T& field) {
  const json::value* value = told.if_contains(name);
  return value != nullptr && read(*value, field);
}

bool read(const json::value& told, Hold& hold) {
  if (!told.is_object()) return false;
  const json::object& object = told.get_object();
  return take(object, "id", hold.id) && take(object, "owner", hold.owner) &&
         take(object, "reason", hold.reason) && take(object, "frontends", hold.frontends) &&
         take(object, "started_at", hold.started_at) && take(object, "deadline", hold.deadline) &&
         take(object, "max_hold_s", hold.max_hold_s);
}

bool is_finite(const json::value& told) {
  if (told.is_double()) return std::isfinite(told.get_double());
  if (told.is_array()) {
    const json::array& values = told.get_array();
    return std::all_of(values.begin(), values.end(), is_finite);
  }
  if (!told.is_object()) return true;
  const json::object& object = told.get_object();
  return std::all_of(object.begin(), object.end(),
                     [](const auto& member) { return is_finite(member.value()); });
}

bool read(const json::object& told, Event& event) {
  std::int64_t version = 0;
  return take(told, "schema", version) && version == schema && take(told, "event", event.kind) &&
         take(told, "at", event.at) && take(told, "hold", event.hold) &&
         take(told, "source", event.source) && take(told, "host", event.host) &&
         take(told, "pid", event.pid) && take(told, "seq", event.seq) &&
         take(told, "endpoint", event.endpoint) && take(told, "frontend", event.frontend) &&
         take(told, "endpoints", event.endpoints) && take(told, "message", event.message) &&
         take(told, "figures", event.figures) &&
         // Lines of before have none.
         (!told.contains("endpoint_name") || take(told, "endpoint_name", event.endpoint_name));
}

}  // namespace

std::string rfc3339(WallTime at) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(since / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     since % 1000);
}

std::string figure_text(const Event::Figure& figure) {
  std::string text;
  write(text, std::visit([](auto number) { return to_value(number); }, figure.second));
  return text;
}

std::string to_json(const Event& event) {
  std::string line;
  write(line, to_object(event));
  return line;
}

std::string to_json(const Report& report) {
  const json::object document{{"schema", schema},
                              {"action", to_value(report.action)},
                              {"ok", report.ok()},
                              {"holds", holds_of(report)},
                              {"commit_window_ms", to_value(report.commit_window_ms)},
                              {"skew_ms", to_value(report.skew_ms)},
                              {"drained", to_value(report.drained)},
                              {"drain_ms", to_value(report.drain_ms)},
                              {"switches", to_array(report.switches)},
                              {"error", to_value(report.error)},
                              {"cutover", to_value(report.cutover)}};
  return json::serialize(document);
}

std::optional<Event> parse_event(std::string_view line) {
  boost::system::error_code failure;
  const json::value told = json::parse(line, failure);
  Event event;
  // What we do not know is passed on, and an infinity is no JSON.
  if (failure || !told.is_object() || !is_finite(told) || !read(told.get_object(), event))
    return std::nullopt;
  return event;
}

}  // namespace stillgate
