// Events: where their history lies, and its lines.
#include "exports.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include <stillgate/event.hpp>
#include <stillgate/fleet.hpp>

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

bool is_of(const Event& event, const std::vector<std::string>& frontends) {
  if (frontends.empty()) return true;
  return event.hold && std::any_of(frontends.begin(), frontends.end(), [&](const auto& name) {
           const auto& held = event.hold->frontends;
           return std::find(held.begin(), held.end(), name) != held.end();
         });
}

/// The events in `text`, one line each, that are of these frontends, and how many lines are no
/// events. In the format json a line stays as it is.
std::pair<std::vector<std::string>, std::size_t> event_lines(
    std::string_view text, const std::vector<std::string>& frontends, const std::string& as) {
  const EventFormat wanted = to_event_format(as);
  std::vector<std::string> lines;
  std::size_t skipped = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) continue;
    const auto event = parse_event(line);
    if (!event) {
      ++skipped;
    } else if (is_of(*event, frontends)) {
      lines.push_back(wanted == EventFormat::json ? std::string(line) : format(*event, wanted));
    }
  }
  return {std::move(lines), skipped};
}

}  // namespace

EventFormat to_event_format(const std::string& text) {
  if (const auto known = event_format(text)) return *known;
  raise_input_error(
      {Errc::bad_option, "event_format: must be json, syslog or journald", {}, {}, "event_format"});
}

void export_events(py::module_& module) {
  // A path may have any bytes.
  module.def("guard_program", [] { return to_text(guard_program()); });
  module.def("state_directory", [] {
    const std::string path = state_directory().string();
    PyObject* const text =
        PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size()));
    if (text == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(text);
  });
  module.def("live_guards", &live_guards, py::arg("hold_id"));
  module.def("event_lines", &event_lines, py::arg("text"), py::arg("frontends"), py::arg("format"));
}

}  // namespace stillgate::bindings
