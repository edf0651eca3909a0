// How much longer a busy machine may take for what a test bounds, measured while the test runs.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <stop_token>
#include <thread>

namespace stillgate {

/// A thread that rests and then works for a moment, over and over, and notes how much later it was
/// done than on a machine of its own. On an idle machine that is next to nothing.
class Patience {
 public:
  using milliseconds = std::chrono::milliseconds;

  /// What may be added to a time promised: some such moments, each as bad as the worst so far.
  [[nodiscard]] milliseconds taken() {
    std::unique_lock lock(mutex_);
    measured_.wait(lock, [this] { return samples_ >= 3; });
    return std::chrono::ceil<milliseconds>(moments * worst_);
  }
  [[nodiscard]] double taken_ms() { return static_cast<double>(taken().count()); }

 private:
  using clock = std::chrono::steady_clock;
  static constexpr int moments = 20;
  static constexpr milliseconds rest{5};
  static constexpr milliseconds work{2};

  static std::chrono::nanoseconds worked() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }

  void measure(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto due = clock::now() + rest + work;
      std::this_thread::sleep_for(rest);
      const auto begun = worked();
      while (worked() - begun < work) {
      }
      const std::lock_guard lock(mutex_);
      worst_ = std::max<clock::duration>(worst_, clock::now() - due);
      ++samples_;
      measured_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable measured_;
  clock::duration worst_{};
  int samples_ = 0;
  std::jthread thread_{[this](const std::stop_token& stop) { measure(stop); }};
};

}  // namespace stillgate
