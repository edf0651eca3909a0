// Reports of check, suspend, resume, extend and status: Python reads them from their JSON.
#include "exports.hpp"

#include <stillgate/report.hpp>

namespace py = pybind11;

namespace stillgate::bindings {

void export_report(py::module_& module) {
  py::class_<Report>(module, "Report")
      .def_property_readonly("exit_status",
                             [](const Report& r) { return static_cast<int>(r.ending); })
      .def_property_readonly("json", [](const Report& r) { return to_json(r); });
}

}  // namespace stillgate::bindings
