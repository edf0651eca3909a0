// How a block of Python's `with` ends: the thread that keeps its hold is told, and waited for, by
// what no signal interrupts.
#include "exports.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace py = pybind11;

namespace stillgate::bindings {
namespace {

/// Between a block and its keeper, a thread that makes the hold, keeps it and ends it. Python's
/// signals raise in the main thread alone, and there between any two instructions; here there are
/// none.
class Ending {
 public:
  /// `stop` ends a hold that is still being made.
  explicit Ending(py::object stop) : stop_(std::move(stop)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() { ::close(descriptor_); }

  [[nodiscard]] int descriptor() const { return descriptor_; }

  // --- for the keeper ---

  /// False: the block was left before there was anything to keep.
  bool keep() {
    const std::scoped_lock lock(mutex_);
    if (stage_ == Stage::idle) stage_ = Stage::making;
    return stage_ == Stage::making;
  }
  /// It is held.
  void made() {
    const std::scoped_lock lock(mutex_);
    stage_ = Stage::made;
  }
  /// Whether the block has been left. Until the next wake the descriptor is not readable.
  bool look() {
    std::uint64_t count = 0;
    (void)!::read(descriptor_, &count, sizeof count);
    const std::scoped_lock lock(mutex_);
    return left_;
  }
  /// Whether the block raised; once it has been left.
  bool failed() {
    const std::scoped_lock lock(mutex_);
    return failed_;
  }
  void done() {
    const std::scoped_lock lock(mutex_);
    stage_ = Stage::done;
    changed_.notify_all();
  }

  // --- for the block ---

  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(descriptor_, &one, sizeof one);
  }
  /// Has the keeper end the hold, and does not wait for it. `failed`: the block raised.
  void tell(bool failed) {
    if (::getpid() == process_ && left_while_making(failed)) stop_();
  }
  /// Returns when the keeper is done. In a child that was forked inside the block at once: the hold
  /// is not its own.
  void leave(bool failed) {
    if (::getpid() != process_) return;
    tell(failed);
    const py::gil_scoped_release released;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stage_ == Stage::done; });
  }
  /// The same behind the exception `left`, of a block that was not entered; then `tell(left)` says
  /// what is true.
  void abandon(const py::object& left, const py::object& tell) {
    leave(true);
    insist([&] { tell(left); });
  }

 private:
  enum class Stage { idle, making, made, done };

  bool left_while_making(bool failed) {
    const std::scoped_lock lock(mutex_);
    left_ = true;
    failed_ = failed_ || failed;
    wake();
    if (stage_ == Stage::idle) stage_ = Stage::done;
    return stage_ == Stage::making;
  }

  py::object stop_;
  int descriptor_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  pid_t process_{::getpid()};
  std::mutex mutex_;
  std::condition_variable changed_;
  Stage stage_{Stage::idle};
  bool left_{false};
  bool failed_{false};
};

/// What a class with an `ending` has for `__exit__`. Afterwards `left` raises what there is.
void exit_block(const py::object& self, const py::object& kind, const py::object& error,
                const py::object& trace) {
  self.attr("ending").cast<Ending&>().leave(!kind.is_none());
  self.attr("left")(kind, error, trace);
}

/// The same for `__aexit__`: `leaving` waits, and raises what there is.
py::object exit_async_block(const py::object& self, const py::object& kind, const py::object& error,
                            const py::object& trace) {
  self.attr("ending").cast<Ending&>().tell(!kind.is_none());
  return self.attr("leaving")(kind, error, trace);
}

}  // namespace

void export_block(py::module_& module) {
  py::class_<Ending>(module, "Ending")
      .def(py::init<py::object>(), py::arg("stop"))
      .def_property_readonly("descriptor", &Ending::descriptor)
      .def("keep", &Ending::keep)
      .def("made", &Ending::made)
      .def("look", &Ending::look)
      .def("done", &Ending::done)
      .def("wake", &Ending::wake)
      .def("failed", &Ending::failed)
      .def("tell", &Ending::tell, py::arg("failed") = false)
      .def("leave", &Ending::leave, py::arg("failed") = false)
      .def("abandon", &Ending::abandon, py::arg("left"), py::arg("tell"));
  struct Block {};
  py::class_<Block>(module, "Block")
      .def(py::init<>())
      .def("__exit__", &exit_block, py::arg("kind"), py::arg("error"), py::arg("trace"));
  struct AsyncBlock {};
  py::class_<AsyncBlock>(module, "AsyncBlock")
      .def(py::init<>())
      .def("__aexit__", &exit_async_block, py::arg("kind"), py::arg("error"), py::arg("trace"));
}

}  // namespace stillgate::bindings
