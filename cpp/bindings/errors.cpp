// Errors, and the exception that wrong input raises.
#include "exports.hpp"

#include <string>

#include <pybind11/stl.h>

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

/// The factory that the Python package gave; leaked, because the interpreter may be gone when
/// static objects are destroyed.
py::object& factory() {
  static auto* const held = new py::object(py::none());
  return *held;
}

py::object optional_text(const std::optional<std::string>& bytes) {
  if (!bytes) return py::none();
  return to_text(*bytes);
}

}  // namespace

void raise_input_error(const Error& error) {
  const std::string code(name(error.code));
  if (factory().is_none()) throw py::value_error(code + ": " + error.message);
  const py::object raised = factory()(code, to_text(error.message), error.field);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.ptr())), raised.ptr());
  throw py::error_already_set();
}

py::str to_text(const std::string& bytes) {
  PyObject* const text =
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(text);
}

void export_errors(py::module_& module) {
  py::class_<Error>(module, "Error")
      .def_property_readonly("code", [](const Error& e) { return std::string(name(e.code)); })
      .def_property_readonly("message", [](const Error& e) { return to_text(e.message); })
      .def_property_readonly("haproxy", [](const Error& e) { return optional_text(e.haproxy); })
      .def_property_readonly("partial", [](const Error& e) { return optional_text(e.partial); });
  module.def("error_codes", [] {
    std::vector<std::string> names;
    for (const Errc code : all_errors()) names.emplace_back(name(code));
    return names;
  });
  module.def(
      "set_input_error", [](py::object made) { factory() = std::move(made); }, py::arg("factory"));
}

}  // namespace stillgate::bindings
