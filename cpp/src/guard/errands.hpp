// What may take long, such as the disk and operators' commands: on one thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "engine/loop.hpp"

namespace stillgate::guard {

/// Runs one errand after the other, so that none of them can delay a release. All is called on the
/// loop's thread. Its own thread exists from the beginning: std::system_error where there is none
/// to be had.
class Errands {
 public:
  using Task = std::function<void()>;

  explicit Errands(engine::Loop& loop);
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;
  ~Errands();

  /// `work` runs on the thread, and `done` after it in deliver(), also where `work` threw.
  void run(Task work, Task done = {});
  /// Runs the `done` of what is done.
  void deliver();
  /// Whether all was done within that time. If not, the process must end without waiting for the
  /// thread.
  bool finish(std::chrono::milliseconds patience);

 private:
  struct Errand {
    Task work;
    Task done;
  };
  void work();

  engine::Loop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Errand> waiting_;
  std::list<Errand> running_;
  std::list<Errand> done_;
  bool ending_{false};
  std::thread thread_;
};

}  // namespace stillgate::guard
