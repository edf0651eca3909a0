// Typed readings of HAProxy's texts.
#include "exports.hpp"

#include <stillgate/info.hpp>
#include <stillgate/listen_depths.hpp>
#include <stillgate/stat.hpp>

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

py::dict read_info(const std::string& text) {
  py::dict fields;
  for (const auto& [key, value] : take(parse_info(text)).fields) {
    fields[to_text(key)] = to_text(value);
  }
  return fields;
}

py::list read_stat(const std::string& text) {
  const auto stat = take(Stat::parse(text));
  py::list rows;
  for (const auto& row : stat.rows()) {
    py::dict fields;
    for (std::size_t i = 0; i < stat.columns().size(); ++i) {
      fields[to_text(stat.columns()[i])] = to_text(i < row.size() ? row[i] : std::string());
    }
    rows.append(std::move(fields));
  }
  return rows;
}

py::dict listen_depths(const std::string& text) {
  py::dict depths;
  for (const auto& [frontend, depth] : listen_depths_of(text)) {
    depths[to_text(frontend)] = depth;
  }
  return depths;
}

}  // namespace

void export_texts(py::module_& module) {
  module.def("parse_info", &read_info, py::arg("text"));
  module.def("listen_depths_of", &listen_depths, py::arg("show_fd"));
  module.def("parse_stat", &read_stat, py::arg("text"));
}

}  // namespace stillgate::bindings
