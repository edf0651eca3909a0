// One thread and the SSH sessions that run on it.
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
  explicit Worker(MakeJump make_jump);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// `resolves`: with a thread for names that stays. std::system_error where a thread is not to be
  /// had.
  void start(bool resolves);
  /// Ends its sessions and its thread. Detaches a thread that does not end in time, such as one
  /// that reads from a dead network disk.
  void stop();

  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
  [[nodiscard]] Mailbox& mailbox() noexcept { return *mailbox_; }

  /// Call on its thread. The session for that route, made if there is none.
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
  /// Replaced sessions that still have channels.
  std::vector<std::shared_ptr<Connection>> replaced_;
  boost::asio::steady_timer keep_alive_timer_;
  std::thread thread_;
  std::promise<void> ended_;
};

}  // namespace stillgate::transport::ssh
