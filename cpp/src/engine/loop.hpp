// One thread's event loop for connections and descriptors that are watched one by one.
#pragma once

#include <chrono>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "transport/transport.hpp"

namespace stillgate::engine {

/// Not thread-safe, except wake(). It takes its own descriptors, and the buffer that all of its
/// connections read into, when it is made: std::system_error or std::bad_alloc where it cannot.
class Loop {
 public:
  explicit Loop(std::chrono::milliseconds connect_timeout);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() = default;

  /// Waits for something to happen, for `patience` at most, and handles what is ready. An exception
  /// of a handler comes through; the next turn goes on with the next handler.
  void turn(std::chrono::milliseconds patience);
  /// Ends the wait of the turn that runs. From any thread.
  void wake() noexcept;

  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
  [[nodiscard]] transport::Shared& shared() noexcept { return shared_; }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  transport::Shared shared_;
};

/// Tells whether a descriptor is readable. It neither owns nor closes it.
class Watch {
 public:
  Watch(Loop& loop, int descriptor);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  /// Readable, or hung up. Else it is watched from now on, so call it until it says no.
  bool take();

 private:
  boost::asio::posix::stream_descriptor descriptor_;
  bool watching_{false};
  bool ready_{false};
};

}  // namespace stillgate::engine
