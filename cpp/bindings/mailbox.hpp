// Lines of events on their way from the engine's thread to the caller's.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace stillgate::bindings {

/// Wait on `changed` with `mutex` locked, then check `lines`.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> lines;
  bool stopping{false};  ///< the call must end early

  void put(const std::string& line) {
    const std::scoped_lock lock(mutex);
    lines.push_back(line);
    changed.notify_one();
  }
};

}  // namespace stillgate::bindings
