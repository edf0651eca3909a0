// What other threads hand to the thread of one io_context.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace stillgate::transport::ssh {

/// In order, with one waking for all that comes until then. Thread-safe; once closed, nothing
/// arrives.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  using Task = std::function<void()>;

  explicit Mailbox(boost::asio::io_context& io) : io_(&io) {}
  void put(Task task);
  /// From a handler of `sender`: what its other handlers, ready at the same time, put in comes
  /// along. Waking a thread costs more than most letters.
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
