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
  /// What came of the last cutover: a signal may take the result of the call away.
  std::optional<Report> cut{};
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
/// orderly end (a suspend rolls back); then the handler's exception goes on its way. So does an
/// exception of the call. `stopping` ends this call early, and no other.
template <class Call>
auto run_interruptibly(Mailbox& mailbox, const py::object& on_line, const Call& call,
                       const std::atomic<bool>& stopping = false) {
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
      // The rollback is told too; a second exception would hide the first.
      (void)attend(take_lines(), on_line);
    }
  }
  if (raised) throw py::error_already_set(*raised);
  if (failure) std::rethrow_exception(failure);
  return *std::move(value);
}

/// Has the hold of one suspend, and ends it by its id on the calling thread: no signal is looked
/// at, and no thread is started. Python may raise between any two instructions, so that somebody
/// must have the hold before there is a result.
class Custody {
 public:
  /// `fleet` makes the call that ends the hold; it makes no other one meanwhile. `release`: how it
  /// ends behind the work inside it.
  Custody(py::object fleet, ResumeOptions release)
      : fleet_(std::move(fleet)),
        told_(fleet_.cast<FleetWithEvents*>()),
        release_(std::move(release)) {}

  /// Before the suspend.
  void expect(const std::vector<std::string>& frontends, bool accept_hazard, py::object on_line) {
    frontends_ = frontends;
    accept_hazard_ = accept_hazard;
    on_line_ = std::move(on_line);
  }
  /// What came of the suspend, from any thread.
  void take(Report&& report) noexcept {
    suspended_ = std::move(report);
    held_ = suspended_->ok();
  }

  /// Has the suspend end early, if it is under way. From any thread.
  void stop() { stopping_ = true; }
  [[nodiscard]] const std::atomic<bool>& stopping() const { return stopping_; }

  [[nodiscard]] const std::optional<Report>& suspended() const { return suspended_; }
  /// What is true behind the end.
  [[nodiscard]] const std::optional<Report>& ended() const { return ended_; }
  /// Why it could not be tried.
  [[nodiscard]] const std::string& failure() const { return failure_; }

  /// Ends the hold, if there is one that has not been ended here; behind this cutover: where it
  /// cannot be had, nothing is released. At its deadline, and where no work was begun inside it
  /// (`plain`), nothing keeps it from its end.
  void end(bool at_deadline, bool plain, const Cutover& cutover) {
    if (!std::exchange(held_, false)) return;
    ResumeOptions by_id = at_deadline || plain ? ResumeOptions() : release_;
    by_id.accept_hazard = accept_hazard_;
    by_id.cutover = cutover;
    std::vector<std::string> lines;
    {
      const py::gil_scoped_release released;
      failure_.clear();
      try {
        by_id.hold = suspended_->holds.front().id;
        by_id.at_deadline = at_deadline;
        auto undone = told_->fleet.resume(frontends_, by_id);
        if (undone) {
          ended_ = *std::move(undone);
        } else {
          failure_ = undone.error().message;
        }
      } catch (const std::exception& thrown) {
        failure_ = thrown.what();
      }
      const std::scoped_lock lock(told_->mailbox->mutex);
      lines = std::exchange(told_->mailbox->lines, {});
    }
    try {
      deliver(lines, on_line_);
    } catch (const py::error_already_set&) {
      // Nothing comes between a hold and the word of its end.
    }
  }

  /// Ends the hold behind the exception `left`, and has `tell(self, left)` say what is true.
  /// Another signal does not keep it from that.
  static void take_back(const py::object& self, const py::object& left, const py::object& tell) {
    self.cast<Custody&>().end(false, true, {});
    insist([&] { tell(self, left); });
  }

 private:
  std::atomic<bool> stopping_{false};
  py::object fleet_;  ///< keeps `told_`
  FleetWithEvents* told_;
  py::object on_line_{py::none()};
  std::vector<std::string> frontends_;
  ResumeOptions release_;
  bool accept_hazard_{false};
  std::optional<Report> suspended_;
  bool held_{false};
  std::optional<Report> ended_;
  std::string failure_;
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

OnReload to_on_reload(const std::string& text) {
  if (const auto known = on_reload(text)) return *known;
  bad_option("on_reload", "must be release or reject");
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
  static void read(const char* /*name*/, const py::object& value, Cutover& field) {
    py::dict told = value.cast<py::dict>().attr("copy")();
    Cutover::each(field, Filling{&told});
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
  static void read(const char* /*name*/, const py::object& value, OnReload& field) {
    field = to_on_reload(value.cast<std::string>());
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

/// The options of its release are checked now: later it would be too late.
std::unique_ptr<Custody> make_custody(py::object told, const py::kwargs& release) {
  auto options = filled<ResumeOptions>(release);
  if (auto wrong = Fleet::refuse(options)) raise_input_error(*wrong);
  return std::make_unique<Custody>(std::move(told), std::move(options));
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
  custody.expect(frontends, options.accept_hazard, on_line);
  const auto wrong = run_interruptibly(
      *told.mailbox, on_line,
      [&](const std::stop_token& stop) -> std::optional<Error> {
        auto report = told.fleet.suspend(frontends, options, stop);
        if (!report) return report.error();
        custody.take(*std::move(report));
        return std::nullopt;
      },
      custody.stopping());
  if (wrong) raise_input_error(*wrong);
  return *custody.suspended();
}

Report resume(FleetWithEvents& told, const std::vector<std::string>& frontends,
              const py::object& on_line, const py::kwargs& asked) {
  const auto options = filled<ResumeOptions>(asked);
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.resume(frontends, options, stop);
  }));
}

Report cutover(FleetWithEvents& told, const py::kwargs& asked) {
  const auto options = filled<CutoverOptions>(asked);
  told.cut.reset();
  return take(run_interruptibly(*told.mailbox, py::none(), [&](const std::stop_token& stop) {
    auto report = told.fleet.cutover(options, stop);
    if (report) told.cut = *report;
    return report;
  }));
}

/// A function of Python's, called and dropped by whatever thread: its references need the GIL.
class Callback {
 public:
  explicit Callback(py::object function)
      : function_(new py::object(std::move(function)), [](py::object* held) {
          const py::gil_scoped_acquire acquired;
          delete held;  // NOLINT(cppcoreguidelines-owning-memory)
        }) {}

  /// What it raises is told as that of a destructor: nobody waits for it.
  template <class... Arguments>
  void operator()(const Arguments&... arguments) const {
    const py::gil_scoped_acquire acquired;
    try {
      (*function_)(arguments()...);
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable("a watch of cutovers");
    }
  }

 private:
  std::shared_ptr<py::object> function_;
};

py::dict to_dict(const CutoverBegun& begun) {
  py::dict told;
  told["hold"] = begun.hold;
  told["frontends"] = begun.frontends;
  told["left"] = begun.left
                     ? py::object(py::float_(std::chrono::duration<double>(*begun.left).count()))
                     : py::none();
  told["retry_for"] = std::chrono::duration<double>(begun.retry_for).count();
  return told;
}

void watch_cutovers(FleetWithEvents& told, py::object begins, py::object ended) {
  if (begins.is_none()) return told.fleet.watch_cutovers({});
  told.fleet.watch_cutovers({[call = Callback(std::move(begins))](const CutoverBegun& begun) {
                               call([&begun] { return to_dict(begun); });
                             },
                             [call = Callback(std::move(ended))] { call(); }});
}

Report extend(FleetWithEvents& told, const std::vector<std::string>& frontends,
              const py::object& on_line, const py::kwargs& asked) {
  const auto options = filled<ExtendOptions>(asked);
  return take(run_interruptibly(*told.mailbox, on_line, [&](const std::stop_token& stop) {
    return told.fleet.extend(frontends, options, stop);
  }));
}

Report look(FleetWithEvents& told, const std::vector<std::string>& frontends) {
  return take(run_interruptibly(*told.mailbox, py::none(), [&](const std::stop_token& stop) {
    return told.fleet.look(frontends, stop);
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
      .def("stop", &Custody::stop)
      .def(
          "end",
          [](Custody& custody, bool at_deadline, bool plain, const py::dict& cutover) {
            custody.end(at_deadline, plain, filled<Cutover>(cutover.attr("copy")()));
          },
          py::arg("at_deadline"), py::arg("plain"), py::arg("cutover"))
      .def("take_back", &Custody::take_back, py::arg("left"), py::arg("tell"))
      .def_property_readonly("suspended", &Custody::suspended)
      .def_property_readonly("ended", &Custody::ended)
      .def_property_readonly("failure",
                             [](const Custody& custody) { return to_text(custody.failure()); });
  py::class_<FleetWithEvents>(module, "Fleet")
      .def(py::init(&make_fleet), py::arg("endpoints"))
      .def_property_readonly("endpoints",
                             [](const FleetWithEvents& told) {
                               std::vector<std::string> urls;
                               for (const auto& one : told.fleet.endpoints())
                                 urls.push_back(one.url());
                               return urls;
                             })
      .def("custody", &make_custody)
      .def("execute", &execute, py::arg("command"), py::arg("payload") = py::none())
      .def("check", &check, py::arg("frontends"), py::kw_only(), py::arg("on_line"))
      .def("suspend", &suspend, py::arg("frontends"), py::kw_only(), py::arg("custody"),
           py::arg("on_line"))
      .def("resume", &resume, py::arg("frontends"), py::kw_only(), py::arg("on_line"))
      .def("cutover", &cutover)
      .def("watch_cutovers", &watch_cutovers, py::arg("begins"), py::arg("ended"))
      .def_property_readonly("cut", [](const FleetWithEvents& told) { return told.cut; })
      .def("extend", &extend, py::arg("frontends"), py::kw_only(), py::arg("on_line"))
      .def("status", &status, py::arg("frontends"))
      .def("look", &look, py::arg("frontends"))
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
