// Events: where their history lies, and the formats of their lines.
#include "exports.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include <stillgate/event.hpp>
#include <stillgate/fleet.hpp>

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

WallTime to_time(double epoch_seconds) {
  const std::chrono::duration<double> since(epoch_seconds);
  return WallTime(std::chrono::round<std::chrono::milliseconds>(since));
}

Hold to_hold(const py::handle& told) {
  Hold hold;
  hold.id = told.attr("id").cast<std::string>();
  hold.owner = told.attr("owner").cast<std::string>();
  hold.reason = told.attr("reason").cast<std::string>();
  hold.frontends = told.attr("frontends").cast<std::vector<std::string>>();
  hold.started_at = to_time(told.attr("started_at").cast<double>());
  const auto deadline = told.attr("deadline").cast<std::optional<double>>();
  if (deadline) hold.deadline = to_time(*deadline);
  hold.max_hold_s = told.attr("max_hold_s").cast<std::optional<double>>();
  return hold;
}

/// `told` is a stillgate.Event. Unknown kinds raise the input error.
std::string format_event(const py::handle& told, const std::string& as) {
  Event event;
  const auto kind = event_kind(told.attr("event").cast<std::string>());
  if (!kind) raise_input_error({Errc::bad_option, "event: is of no known kind", {}, {}, "event"});
  event.kind = *kind;
  event.at = to_time(told.attr("at").cast<double>());
  if (!told.attr("hold").is_none()) event.hold = to_hold(told.attr("hold"));
  event.source = told.attr("source").cast<std::string>();
  event.endpoint = told.attr("endpoint").cast<std::optional<std::string>>();
  event.frontend = told.attr("frontend").cast<std::optional<std::string>>();
  event.endpoints = told.attr("endpoints").cast<std::vector<std::string>>();
  event.message = told.attr("message").cast<std::string>();
  event.host = told.attr("host").cast<std::string>();
  event.pid = told.attr("pid").cast<std::int64_t>();
  event.seq = told.attr("seq").cast<std::uint64_t>();
  for (const auto& [name, value] : told.attr("figures").cast<py::dict>()) {
    if (value.is_none()) continue;
    event.figures.emplace_back(name.cast<std::string>(),
                               value.cast<std::variant<std::int64_t, double>>());
  }
  return format(event, to_event_format(as));
}

}  // namespace

EventFormat to_event_format(const std::string& text) {
  if (text == "json") return EventFormat::json;
  if (text == "syslog") return EventFormat::syslog;
  if (text == "journald") return EventFormat::journald;
  raise_input_error(
      {Errc::bad_option, "event_format: must be json, syslog or journald", {}, {}, "event_format"});
}

void export_events(py::module_& module) {
  module.def("state_directory", [] { return state_directory().string(); });
  module.def("format_event", &format_event, py::arg("event"), py::arg("format"));
}

}  // namespace stillgate::bindings
