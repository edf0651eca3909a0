// Hands tasks to the thread of one io_context.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace stillgate::transport::ssh {

/// Runs tasks in order and wakes the thread once for all that are queued. Thread-safe. After
/// close() none runs.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  using Task = std::function<void()>;

  explicit Mailbox(boost::asio::io_context& io) : io_(&io) {}
  void put(Task task);
  /// Call from a handler of `sender`: wakes after its other ready handlers have added theirs.
  /// Waking a thread costs more than most tasks.
  void put_after(boost::asio::io_context& sender, Task task);
  void close();

 private:
  bool add(Task task);
  void wake();
  void deliver();

  std::mutex mutex_;
  boost::asio::io_context* io_;
  std::vector<Task> tasks_;
};

}  // namespace stillgate::transport::ssh
