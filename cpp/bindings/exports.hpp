// What the files of the bindings share.
#pragma once

#include <pybind11/pybind11.h>

#include <stillgate/error.hpp>
#include <stillgate/event.hpp>

namespace stillgate::bindings {

void export_block(pybind11::module_& module);
void export_errors(pybind11::module_& module);
void export_outcome(pybind11::module_& module);
void export_report(pybind11::module_& module);
void export_texts(pybind11::module_& module);
void export_events(pybind11::module_& module);
void export_fleet(pybind11::module_& module);

/// Raises the exception that set_input_error() named. Needs the GIL.
[[noreturn]] void raise_input_error(const Error& error);

/// Raises the input error for another word.
EventFormat to_event_format(const std::string& text);

/// HAProxy's bytes as text; bytes that are not UTF-8 become U+FFFD. Needs the GIL.
pybind11::str to_text(const std::string& bytes);

/// Calls into Python until no signal's exception ends the call: for what must be said whatever
/// comes.
template <class Call>
void insist(const Call& call) {
  constexpr int often = 10;
  for (int times = 0; times < often; ++times) {
    try {
      call();
      return;
    } catch (const pybind11::error_already_set&) {
      // Whoever insists has an exception already, which goes on its way.
    }
  }
}

template <class T>
T take(Result<T> result) {
  if (!result) raise_input_error(result.error());
  return *std::move(result);
}

}  // namespace stillgate::bindings
