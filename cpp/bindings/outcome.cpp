// Outcomes of a command.
#include "exports.hpp"

#include <pybind11/stl.h>

#include <stillgate/outcome.hpp>

namespace py = pybind11;

namespace stillgate::bindings {

void export_outcome(py::module_& module) {
  py::class_<Timings>(module, "Timings")
      .def_readonly("connected_ms", &Timings::connected_ms)
      .def_readonly("sent_ms", &Timings::sent_ms)
      .def_readonly("answered_ms", &Timings::answered_ms);
  py::class_<Outcome>(module, "Outcome")
      .def_readonly("endpoint", &Outcome::endpoint)
      .def_readonly("endpoint_name", &Outcome::endpoint_name)
      .def_property_readonly("reply",
                             [](const Outcome& outcome) -> py::object {
                               if (!outcome.reply) return py::none();
                               return to_text(*outcome.reply);
                             })
      .def_readonly("error", &Outcome::error)
      .def_readonly("timings", &Outcome::timings);
}

}  // namespace stillgate::bindings
