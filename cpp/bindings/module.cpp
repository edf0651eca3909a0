// The compiled module `stillgate._core`: a list of what it exports.
#include "exports.hpp"

#include <stillgate/fleet.hpp>

PYBIND11_MODULE(_core, module) {
  module.doc() = "The engine of Stillgate; its face is the package stillgate.";
  module.attr("__version__") = stillgate::version();
  stillgate::bindings::export_block(module);
  stillgate::bindings::export_errors(module);
  stillgate::bindings::export_outcome(module);
  stillgate::bindings::export_report(module);
  stillgate::bindings::export_texts(module);
  stillgate::bindings::export_events(module);
  stillgate::bindings::export_fleet(module);
}
