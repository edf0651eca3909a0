// The fleet: calls run on a thread of the engine's own, while this one looks for signals.
#include "exports.hpp"

#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include <stillgate/fleet.hpp>

#include "mailbox.hpp"

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

using std::chrono::milliseconds;

// Ctrl-C must raise within 100 ms.
constexpr milliseconds slice{25};

[[noreturn]] void bad_option(const std::string& field, const std::string& why) {
  raise_input_error({Errc::bad_option, field + ": " + why, {}, {}, field});
}

/// Seconds of Python to milliseconds; the range itself is checked behind the border.
milliseconds to_milliseconds(double seconds, const char* field) {
  constexpr double largest = 1e9;
  if (!std::isfinite(seconds) || std::abs(seconds) > largest) {
    bad_option(field, "must be a finite number of seconds");
  }
  const double rounded = std::ceil(seconds * 1000.0);
  return milliseconds(static_cast<milliseconds::rep>(rounded));
}

/// A fleet, and what its calls tell meanwhile.
struct TellingFleet {
  std::shared_ptr<Mailbox> mailbox;
  Fleet fleet;
};

/// Calls `on_line` with each line, on this thread. What that raises is the caller's (its face logs
/// all but a signal's exception, and raises nothing else).
void deliver(const std::vector<std::string>& lines, const py::object& on_line) {
  if (on_line.is_none()) return;
  for (const std::string& line : lines) on_line(to_text(line));
}

/// Signals and lines, with the GIL. Returns the exception that ends the call, if there is one.
std::optional<py::error_already_set> attend(const std::vector<std::string>& lines,
                                            const py::object& on_line) {
  const py::gil_scoped_acquire acquired;
  try {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    deliver(lines, on_line);
  } catch (py::error_already_set& error) {
    return std::move(error);
  }
  return std::nullopt;
}

/// Runs `call(stop_token)` on a thread of its own, without the GIL, while this one delivers events
/// to `on_line`. A signal whose Python handler raises (Ctrl-C) stops the call and waits for its
/// orderly end (a suspend rolls back). If the call had come to its end just before, `undo` takes
/// its result back; then the handler's exception goes on its way.
template <class Call, class Undo>
auto run_interruptibly(Mailbox& mailbox, const py::object& on_line, const Call& call,
                       const Undo& undo) {
  using Value = decltype(call(std::stop_token()));
  std::optional<Value> value;
  std::optional<py::error_already_set> raised;
  {
    const py::gil_scoped_release released;
    bool done = false;
    std::jthread engine([&](const std::stop_token& stop) {
      auto result = call(stop);
      const std::scoped_lock lock(mailbox.mutex);
      value.emplace(std::move(result));
      done = true;
      mailbox.changed.notify_one();
    });
    const auto take_lines = [&] { return std::exchange(mailbox.lines, {}); };
    std::unique_lock lock(mailbox.mutex);
    for (bool over = false; !over;) {
      mailbox.changed.wait_for(lock, slice,
                               [&] { return done || !mailbox.lines.empty() || mailbox.stopping; });
      if (std::exchange(mailbox.stopping, false)) engine.request_stop();
      over = done;
      const auto lines = take_lines();
      if (over && lines.empty()) break;
      lock.unlock();
      raised = attend(lines, on_line);
      if (raised) {
        engine.request_stop();
        engine.join();
        undo(*value);
        // The rollback is told too; a second exception would hide the first.
        (void)attend(take_lines(), on_line);
        break;
      }
      lock.lock();
    }
  }
  if (raised) throw py::error_already_set(*raised);
  return *std::move(value);
}

template <class Call>
auto run_interruptibly(Mailbox& mailbox, const py::object& on_line, const Call& call) {
  return run_interruptibly(mailbox, on_line, call, [](const auto& /*result*/) {});
}

std::vector<Endpoint> parse_all(const std::vector<std::string>& urls) {
  std::vector<Endpoint> endpoints;
  endpoints.reserve(urls.size());
  for (const std::string& url : urls) endpoints.push_back(take(Endpoint::parse(url)));
  return endpoints;
}

TellingFleet make_fleet(const std::vector<std::string>& urls, double connect_timeout,
                        double greeting_timeout, double reply_timeout, std::size_t max_reply_bytes,
                        const std::string& on_event, const std::string& event_format) {
  FleetOptions options;
  options.connect_timeout = to_milliseconds(connect_timeout, "connect_timeout");
  options.greeting_timeout = to_milliseconds(greeting_timeout, "greeting_timeout");
  options.reply_timeout = to_milliseconds(reply_timeout, "reply_timeout");
  options.max_reply_bytes = max_reply_bytes;
  options.events.on_event = on_event;
  options.events.format = to_event_format(event_format);
  auto mailbox = std::make_shared<Mailbox>();
  options.events.on_line = [mailbox](const std::string& line) { mailbox->put(line); };
  return {mailbox, take(Fleet::create(parse_all(urls), options))};
}

std::vector<Outcome> execute(TellingFleet& told, const std::string& command,
                             const std::optional<std::string>& payload) {
  return take(run_interruptibly(*told.mailbox, py::none(), [&](const std::stop_token& stop) {
    return told.fleet.execute(command, payload, stop);
  }));
}

Method to_method(const std::string& text) {
  if (text == "auto") return Method::automatic;
  if (text == "gate") return Method::gate;
  if (text == "maxconn") return Method::maxconn;
  bad_option("method", "must be auto, gate or maxconn");
}

Expiry to_expiry(const std::string& text) {
  if (text == "release") return Expiry::release;
  if (text == "reject") return Expiry::reject;
  bad_option("on_expiry", "must be release or reject");
}

/// What check and suspend are asked alike.
SuspendOptions suspend_options(const std::string& method, bool accept_unproven,
                               const std::string& on_expiry, std::int64_t max_waiting,
                               bool no_lease, bool accept_hazard, double max_hold,
                               double drain_timeout) {
  SuspendOptions options;
  options.method = to_method(method);
  options.accept_unproven = accept_unproven;
  options.on_expiry = to_expiry(on_expiry);
  options.max_waiting = max_waiting;
  options.no_lease = no_lease;
  options.accept_hazard = accept_hazard;
  options.max_hold = to_milliseconds(max_hold, "max_hold");
  options.drain_timeout = to_milliseconds(drain_timeout, "drain_timeout");
  return options;
}

Report check(TellingFleet& told, const std::vector<std::string>& frontends,
             const std::string& method, bool accept_unproven, const std::string& on_expiry,
             std::int64_t max_waiting, bool accept_hazard, double max_hold, double drain_timeout,
             const py::object& on_line) {
  const auto options = suspend_options(method, accept_unproven, on_expiry, max_waiting, false,
                                       accept_hazard, max_hold, drain_timeout);
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.check(frontends, options, stop);
  }));
}

Report suspend(TellingFleet& told, const std::vector<std::string>& frontends,
               const std::string& method, bool accept_unproven, const std::string& on_expiry,
               std::int64_t max_waiting, bool no_lease, bool accept_hazard, double max_hold,
               double drain_timeout, const std::string& owner, const std::string& reason,
               const py::object& on_line) {
  auto options = suspend_options(method, accept_unproven, on_expiry, max_waiting, no_lease,
                                 accept_hazard, max_hold, drain_timeout);
  options.owner = owner;
  options.reason = reason;
  return take(run_interruptibly(
      *told.mailbox, on_line,
      [&](const std::stop_token& stop) { return told.fleet.suspend(frontends, options, stop); },
      [&](const Result<Report>& report) {
        // The caller gets an exception in place of this report, and would never know of the hold.
        if (!report || !report->ok()) return;
        ResumeOptions undo;
        undo.hold = report->holds.front().id;
        (void)told.fleet.resume(frontends, undo);
      }));
}

Report resume(TellingFleet& told, const std::vector<std::string>& frontends, double ramp,
              std::optional<std::int64_t> limit, bool wait_up, bool accept_hazard, double retry_for,
              const std::string& hold, const std::string& owner, bool force,
              const std::string& reason, bool at_deadline, const py::object& on_line) {
  ResumeOptions options;
  options.hold = hold;
  options.owner = owner;
  options.force = force;
  options.reason = reason;
  options.ramp = to_milliseconds(ramp, "ramp");
  options.limit = limit;
  options.wait_up = wait_up;
  options.accept_hazard = accept_hazard;
  options.retry_for = to_milliseconds(retry_for, "retry_for");
  options.at_deadline = at_deadline;
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.resume(frontends, options, stop);
  }));
}

Report extend(TellingFleet& told, const std::vector<std::string>& frontends, double seconds,
              const std::string& hold, const std::string& owner, bool force,
              const std::string& reason, const py::object& on_line) {
  ExtendOptions options;
  options.by = to_milliseconds(seconds, "seconds");
  options.hold = hold;
  options.owner = owner;
  options.force = force;
  options.reason = reason;
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.extend(frontends, options, stop);
  }));
}

Report status(TellingFleet& told, const std::vector<std::string>& frontends) {
  return take(run_interruptibly(*told.mailbox, py::none(), [&](const std::stop_token& stop) {
    return told.fleet.status(frontends, stop);
  }));
}

}  // namespace

void export_fleet(py::module_& module) {
  const FleetOptions defaults;
  const auto seconds = [](milliseconds time) {
    return std::chrono::duration<double>(time).count();
  };
  py::class_<TellingFleet>(module, "Fleet")
      .def(py::init(&make_fleet), py::arg("endpoints"), py::kw_only(),
           py::arg("connect_timeout") = seconds(defaults.connect_timeout),
           py::arg("greeting_timeout") = seconds(defaults.greeting_timeout),
           py::arg("reply_timeout") = seconds(defaults.reply_timeout),
           py::arg("max_reply_bytes") = defaults.max_reply_bytes, py::arg("on_event") = "",
           py::arg("event_format") = "json")
      .def_property_readonly("endpoints",
                             [](const TellingFleet& told) {
                               std::vector<std::string> urls;
                               for (const auto& one : told.fleet.endpoints())
                                 urls.push_back(one.url());
                               return urls;
                             })
      .def("execute", &execute, py::arg("command"), py::arg("payload") = py::none())
      .def("check", &check, py::arg("frontends"), py::kw_only(), py::arg("method"),
           py::arg("accept_unproven"), py::arg("on_expiry"), py::arg("max_waiting"),
           py::arg("accept_hazard"), py::arg("max_hold"), py::arg("drain_timeout"),
           py::arg("on_line"))
      .def("suspend", &suspend, py::arg("frontends"), py::kw_only(), py::arg("method"),
           py::arg("accept_unproven"), py::arg("on_expiry"), py::arg("max_waiting"),
           py::arg("no_lease"), py::arg("accept_hazard"), py::arg("max_hold"),
           py::arg("drain_timeout"), py::arg("owner"), py::arg("reason"), py::arg("on_line"))
      .def("resume", &resume, py::arg("frontends"), py::kw_only(), py::arg("ramp"),
           py::arg("limit"), py::arg("wait_up"), py::arg("accept_hazard"), py::arg("retry_for"),
           py::arg("hold"), py::arg("owner"), py::arg("force"), py::arg("reason"),
           py::arg("at_deadline"), py::arg("on_line"))
      .def("extend", &extend, py::arg("frontends"), py::kw_only(), py::arg("seconds"),
           py::arg("hold"), py::arg("owner"), py::arg("force"), py::arg("reason"),
           py::arg("on_line"))
      .def("status", &status, py::arg("frontends"))
      .def("stop",
           [](TellingFleet& told) {
             const std::scoped_lock lock(told.mailbox->mutex);
             told.mailbox->stopping = true;
             told.mailbox->changed.notify_one();
           })
      .def("guard_descriptor",
           [](const TellingFleet& told) { return told.fleet.guard_descriptor(); })
      .def("renew_guard",
           [](TellingFleet& told) {
             const py::gil_scoped_release released;
             return told.fleet.renew_guard();
           })
      .def("progress", [](const TellingFleet& told) {
        const Progress& now = told.fleet.progress();
        const std::int64_t flying = now.in_flight.load();
        return py::make_tuple(now.phase.load(), now.connected.load(), now.answered.load(),
                              flying < 0 ? std::nullopt : std::optional(flying));
      });
}

}  // namespace stillgate::bindings
