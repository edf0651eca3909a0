// One thread with the SSH sessions that are its own.
#pragma once

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "connection.hpp"
#include "mailbox.hpp"
#include "transport/resolver.hpp"
#include "transport/ssh/base/turns.hpp"

namespace stillgate::transport::ssh {

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  explicit Worker(std::weak_ptr<Hub> hub);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  void start();
  /// Ends its sessions and its thread. One that does not end, which a file on a dead network disk
  /// may keep, is left behind.
  void stop();

  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
  [[nodiscard]] Mailbox& mailbox() noexcept { return *mailbox_; }

  /// On its own thread: the session for that way, made if there is none.
  std::shared_ptr<Connection> connection(const std::shared_ptr<const Route>& route);

 private:
  void run();
  void keep_alive();

  boost::asio::io_context io_{};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::shared_ptr<Mailbox> mailbox_;
  Resolver resolver_;
  Turns turns_;
  std::vector<char> buffer_;
  WorkerContext context_;
  std::map<std::string, std::shared_ptr<Connection>> connections_;
  /// Those that are replaced, for who has a channel of them yet.
  std::vector<std::shared_ptr<Connection>> replaced_;
  boost::asio::steady_timer keep_alive_timer_;
  std::thread thread_;
  std::promise<void> ended_;
};

}  // namespace stillgate::transport::ssh
