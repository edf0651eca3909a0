// The fleet: calls run on the engine's thread, while this one checks for signals.
#include "exports.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
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

/// Seconds of Python to milliseconds; the engine checks the range.
milliseconds to_milliseconds(double seconds, const char* field) {
  constexpr double largest = 1e9;
  if (!std::isfinite(seconds) || std::abs(seconds) > largest) {
    bad_option(field, "must be a finite number of seconds");
  }
  const double rounded = std::ceil(seconds * 1000.0);
  return milliseconds(static_cast<milliseconds::rep>(rounded));
}

/// A fleet, and the events of its calls.
struct FleetWithEvents {
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

/// Runs `call(stop_token)` on its own thread, without the GIL, while this one delivers events
/// to `on_line`. A signal whose Python handler raises (Ctrl-C) stops the call and waits for its
/// orderly end (a suspend rolls back). If the call had come to its end just before, `undo` takes
/// its result back; then the handler's exception goes on its way. So does an exception of the call.
/// `stopping` ends this call early, and no other.
template <class Call, class Undo>
auto run_interruptibly(Mailbox& mailbox, const py::object& on_line, const Call& call,
                       const Undo& undo, const std::atomic<bool>& stopping) {
  using Value = decltype(call(std::stop_token()));
  std::optional<Value> value;
  std::exception_ptr failure;
  std::optional<py::error_already_set> raised;
  {
    const py::gil_scoped_release released;
    bool done = false;
    std::jthread engine([&](const std::stop_token& stop) {
      try {
        value.emplace(call(stop));
      } catch (...) {
        failure = std::current_exception();
      }
      const std::scoped_lock lock(mailbox.mutex);
      done = true;
      mailbox.changed.notify_one();
    });
    const auto take_lines = [&] { return std::exchange(mailbox.lines, {}); };
    std::unique_lock lock(mailbox.mutex);
    for (bool over = false; !over && !raised;) {
      mailbox.changed.wait_for(lock, slice,
                               [&] { return done || !mailbox.lines.empty() || mailbox.stopping; });
      if (std::exchange(mailbox.stopping, false) || stopping) engine.request_stop();
      over = done;
      const auto lines = take_lines();
      lock.unlock();
      // After the end of the call, too: the last look at signals before there is a result.
      raised = attend(lines, on_line);
      lock.lock();
    }
    lock.unlock();
    if (raised) {
      engine.request_stop();
      engine.join();
      if (value) undo(*value);
      // The rollback is told too; a second exception would hide the first.
      (void)attend(take_lines(), on_line);
    }
  }
  if (raised) throw py::error_already_set(*raised);
  if (failure) std::rethrow_exception(failure);
  return *std::move(value);
}

template <class Call>
auto run_interruptibly(Mailbox& mailbox, const py::object& on_line, const Call& call) {
  return run_interruptibly(
      mailbox, on_line, call, [](const auto& /*result*/) {}, false);
}

/// Has a hold until its report is handed over: `take_back` ends it by its id. Python may raise
/// between any two instructions, so that somebody must have the hold before there is a result.
class Custody {
 public:
  void take(FleetWithEvents& told, py::object on_line, const std::vector<std::string>& frontends,
            const Report& report) {
    if (!report.ok()) return;
    told_ = &told;
    fleet_ = py::cast(told);
    on_line_ = std::move(on_line);
    frontends_ = frontends;
    hold_ = report.holds.front().id;
  }

  /// Has the suspend end early, if it is under way. From any thread.
  void stop() { stopping_ = true; }
  [[nodiscard]] const std::atomic<bool>& stopping() const { return stopping_; }

  /// Whether nothing is held any more, as far as could be read back. No signal ends it, and it
  /// raises nothing: whoever calls it has an exception already.
  bool take_back() {
    if (told_ == nullptr) return true;
    FleetWithEvents& told = *std::exchange(told_, nullptr);
    bool open = false;
    std::vector<std::string> lines;
    {
      const py::gil_scoped_release released;
      ResumeOptions by_id;
      by_id.hold = hold_;
      try {
        const auto undone = told.fleet.resume(frontends_, by_id);
        // Of one that had ended before nothing is held, either.
        open = undone && (undone->ok() || undone->ending == Ending::too_late);
      } catch (const std::exception&) {
        open = false;
      }
      const std::scoped_lock lock(told.mailbox->mutex);
      lines = std::exchange(told.mailbox->lines, {});
    }
    (void)attend(lines, on_line_);
    return open;
  }

 private:
  std::atomic<bool> stopping_{false};
  FleetWithEvents* told_{nullptr};
  py::object fleet_;  ///< keeps `told_`
  py::object on_line_;
  std::vector<std::string> frontends_;
  std::string hold_;
};

std::vector<Endpoint> parse_all(const std::vector<std::string>& urls) {
  std::vector<Endpoint> endpoints;
  endpoints.reserve(urls.size());
  for (const std::string& url : urls) endpoints.push_back(take(Endpoint::parse(url)));
  return endpoints;
}

Method to_method(const std::string& text) {
  if (const auto known = method(text)) return *known;
  bad_option("method", "must be auto, gate or maxconn");
}

Expiry to_expiry(const std::string& text) {
  if (const auto known = expiry(text)) return *known;
  bad_option("on_expiry", "must be release or reject");
}

/// Walks the options of a struct, and sets those that `told` has.
struct Filling {
  py::dict* told;

  template <class T, class... Bounds>
  void operator()(const char* name, T& field,
                  const Bounds&... /*checked behind the border*/) const {
    if (!told->contains(name)) return;
    const py::object value = told->attr("pop")(name);
    try {
      read(name, value, field);
    } catch (const py::cast_error&) {
      throw py::type_error(std::string(name) + ": is of the wrong type");
    }
  }

 private:
  template <class T>
  static void read(const char* /*name*/, const py::object& value, T& field) {
    field = value.cast<T>();
  }
  static void read(const char* name, const py::object& value, milliseconds& field) {
    field = to_milliseconds(value.cast<double>(), name);
  }
  static void read(const char* /*name*/, const py::object& value, Method& field) {
    field = to_method(value.cast<std::string>());
  }
  static void read(const char* /*name*/, const py::object& value, Expiry& field) {
    field = to_expiry(value.cast<std::string>());
  }
  static void read(const char* /*name*/, const py::object& value, EventFormat& field) {
    field = to_event_format(value.cast<std::string>());
  }
};

/// A struct of options by its names; an option that is not given has the struct's default.
template <class Options>
Options filled(py::dict told) {
  Options options;
  Options::each(options, Filling{&told});
  if (!told.empty()) {
    const std::string name = py::str((*told.begin()).first);
    throw py::type_error("no option is called '" + name + "'");
  }
  return options;
}

FleetWithEvents make_fleet(const std::vector<std::string>& urls, const py::kwargs& told) {
  auto options = filled<FleetOptions>(told);
  auto mailbox = std::make_shared<Mailbox>();
  options.events.on_line = [mailbox](const std::string& line) { mailbox->put(line); };
  return {mailbox, take(Fleet::create(parse_all(urls), options))};
}

std::vector<Outcome> execute(FleetWithEvents& told, const std::string& command,
                             const std::optional<std::string>& payload) {
  return take(run_interruptibly(*told.mailbox, py::none(), [&](const std::stop_token& stop) {
    return told.fleet.execute(command, payload, stop);
  }));
}

Report check(FleetWithEvents& told, const std::vector<std::string>& frontends,
             const py::object& on_line, const py::kwargs& asked) {
  const auto options = filled<SuspendOptions>(asked);
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.check(frontends, options, stop);
  }));
}

Report suspend(FleetWithEvents& told, const std::vector<std::string>& frontends, Custody& custody,
               const py::object& on_line, const py::kwargs& asked) {
  const auto options = filled<SuspendOptions>(asked);
  const auto take_back = [&](const Result<Report>& report) {
    // The caller gets an exception in place of this report, and would never know of the hold.
    if (!report || !report->ok()) return;
    ResumeOptions by_id;
    by_id.hold = report->holds.front().id;
    (void)told.fleet.resume(frontends, by_id);
  };
  Report report = take(run_interruptibly(
      *told.mailbox, on_line,
      [&](const std::stop_token& stop) { return told.fleet.suspend(frontends, options, stop); },
      take_back, custody.stopping()));
  custody.take(told, on_line, frontends, report);
  return report;
}

Report resume(FleetWithEvents& told, const std::vector<std::string>& frontends,
              const py::object& on_line, const py::kwargs& asked) {
  const auto options = filled<ResumeOptions>(asked);
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.resume(frontends, options, stop);
  }));
}

Report extend(FleetWithEvents& told, const std::vector<std::string>& frontends,
              const py::object& on_line, const py::kwargs& asked) {
  const auto options = filled<ExtendOptions>(asked);
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.extend(frontends, options, stop);
  }));
}

Report status(FleetWithEvents& told, const std::vector<std::string>& frontends) {
  return take(run_interruptibly(*told.mailbox, py::none(), [&](const std::stop_token& stop) {
    return told.fleet.status(frontends, stop);
  }));
}

}  // namespace

void export_fleet(py::module_& module) {
  py::class_<Custody>(module, "Custody")
      .def(py::init<>())
      .def("stop", &Custody::stop)
      .def("take_back", &Custody::take_back);
  py::class_<FleetWithEvents>(module, "Fleet")
      .def(py::init(&make_fleet), py::arg("endpoints"))
      .def_property_readonly("endpoints",
                             [](const FleetWithEvents& told) {
                               std::vector<std::string> urls;
                               for (const auto& one : told.fleet.endpoints())
                                 urls.push_back(one.url());
                               return urls;
                             })
      .def("execute", &execute, py::arg("command"), py::arg("payload") = py::none())
      .def("check", &check, py::arg("frontends"), py::kw_only(), py::arg("on_line"))
      .def("suspend", &suspend, py::arg("frontends"), py::kw_only(), py::arg("custody"),
           py::arg("on_line"))
      .def("resume", &resume, py::arg("frontends"), py::kw_only(), py::arg("on_line"))
      .def("extend", &extend, py::arg("frontends"), py::kw_only(), py::arg("on_line"))
      .def("status", &status, py::arg("frontends"))
      .def("stop",
           [](FleetWithEvents& told) {
             const std::scoped_lock lock(told.mailbox->mutex);
             told.mailbox->stopping = true;
             told.mailbox->changed.notify_one();
           })
      .def("guard_descriptor",
           [](const FleetWithEvents& told) { return told.fleet.guard_descriptor(); })
      .def("renew_guard",
           [](FleetWithEvents& told) {
             const py::gil_scoped_release released;
             return told.fleet.renew_guard();
           })
      .def("progress", [](const FleetWithEvents& told) {
        const Progress& now = told.fleet.progress();
        const std::int64_t flying = now.in_flight.load();
        return py::make_tuple(now.phase.load(), now.connected.load(), now.answered.load(),
                              flying < 0 ? std::nullopt : std::optional(flying));
      });
}

}  // namespace stillgate::bindings
