// Reports of check, suspend and resume.
#include "exports.hpp"

#include <chrono>

#include <pybind11/stl.h>

#include <stillgate/report.hpp>

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

double epoch_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace

void export_report(py::module_& module) {
  py::class_<Finding>(module, "Finding")
      .def_readonly("code", &Finding::code)
      .def_property_readonly("level", [](const Finding& f) { return std::string(name(f.level)); })
      .def_property_readonly("message", [](const Finding& f) { return to_text(f.message); });
  py::class_<GateCounters>(module, "GateCounters")
      .def_readonly("most_waiting", &GateCounters::most_waiting)
      .def_readonly("held", &GateCounters::held)
      .def_readonly("released", &GateCounters::released)
      .def_readonly("given_up", &GateCounters::given_up)
      .def_readonly("rejected", &GateCounters::rejected)
      .def_readonly("longest_wait_ms", &GateCounters::longest_wait_ms);
  py::class_<Switch>(module, "Switch")
      .def_readonly("endpoint", &Switch::endpoint)
      .def_readonly("frontend", &Switch::frontend)
      .def_readonly("hold_id", &Switch::hold_id)
      .def_property_readonly("verdict",
                             [](const Switch& s) { return std::string(name(s.verdict)); })
      .def_readonly("method", &Switch::method)
      .def_readonly("lease", &Switch::lease)
      .def_readonly("limit_before", &Switch::limit_before)
      .def_readonly("limit_now", &Switch::limit_now)
      .def_readonly("waiting", &Switch::waiting)
      .def_readonly("gate", &Switch::gate)
      .def_readonly("in_flight", &Switch::in_flight)
      .def_readonly("leaked", &Switch::leaked)
      .def_readonly("version", &Switch::version)
      .def_readonly("rtt_ms", &Switch::rtt_ms)
      .def_readonly("findings", &Switch::findings)
      .def_readonly("error", &Switch::error);
  py::class_<Hold>(module, "Hold")
      .def_readonly("id", &Hold::id)
      .def_property_readonly("owner", [](const Hold& h) { return to_text(h.owner); })
      .def_property_readonly("reason", [](const Hold& h) { return to_text(h.reason); })
      .def_readonly("frontends", &Hold::frontends)
      .def_property_readonly("started_at",
                             [](const Hold& h) { return epoch_seconds(h.started_at); })
      .def_property_readonly("deadline",
                             [](const Hold& h) -> std::optional<double> {
                               if (!h.deadline) return std::nullopt;
                               return epoch_seconds(*h.deadline);
                             })
      .def_readonly("max_hold_s", &Hold::max_hold_s);
  py::class_<Report>(module, "Report")
      .def_readonly("action", &Report::action)
      .def_property_readonly("ok", &Report::ok)
      .def_property_readonly("exit_status",
                             [](const Report& r) { return static_cast<int>(r.ending); })
      .def_readonly("holds", &Report::holds)
      .def_readonly("switches", &Report::switches)
      .def_readonly("commit_window_ms", &Report::commit_window_ms)
      .def_readonly("skew_ms", &Report::skew_ms)
      .def_readonly("drained", &Report::drained)
      .def_readonly("drain_ms", &Report::drain_ms)
      .def_readonly("error", &Report::error);
}

}  // namespace stillgate::bindings
