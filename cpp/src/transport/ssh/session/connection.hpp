// One SSH session: its connection to the server, the login, and the channels that share it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "carrier.hpp"
#include "proposal.hpp"
#include "socket_probe.hpp"
#include "target.hpp"
#include "transport/ssh/base/library.hpp"
#include "transport/ssh/base/turns.hpp"
#include "transport/ssh/login/login.hpp"
#include "transport/ssh/login/route.hpp"

namespace stillgate::transport::ssh {

class Connection;
class Worker;

/// One channel; used on its worker's thread.
struct Channel {
  Channel(Target where, std::shared_ptr<ChannelListener> whom, Timeouts how_long)
      : target(std::move(where)), listener(std::move(whom)), timeouts(how_long) {}

  Target target;
  std::shared_ptr<ChannelListener> listener;  ///< null: closed
  Timeouts timeouts;
  std::weak_ptr<Connection> connection{};
  LIBSSH2_CHANNEL* raw{nullptr};
  std::deque<std::string> unsent{};
  std::size_t sent{0};  ///< bytes of the first string
  bool ended{false};
  bool closed{false};  ///< or about to be closed
  bool second_try{false};

  /// Reports the failure to the listener, once; nothing after it.
  void fail(const Error& error) {
    if (const auto last = std::exchange(listener, nullptr)) last->on_failed(error);
  }
  [[nodiscard]] bool listens() const {
    return raw != nullptr && listener != nullptr && !ended && !target.unread && !listener->full();
  }
};

/// What the connections of one worker share.
struct WorkerContext {
  boost::asio::io_context& io;
  Resolver& resolver;
  Turns& turns;
  MakeJump make_jump;
  Worker& worker;
  std::vector<char>& buffer;
};

/// Not thread-safe: all on its worker's thread.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(WorkerContext& context, std::shared_ptr<const Route> route);
  ~Connection();

  void open(const std::shared_ptr<Channel>& channel);
  void write(const std::shared_ptr<Channel>& channel, std::string bytes);
  void close(const std::shared_ptr<Channel>& channel);
  /// The channel's listener takes more again.
  void read_on();
  void keep_alive();
  /// Ends the session. Its open channels fail with `error`.
  void fail(const Error& error);

  /// It accepts more channels.
  [[nodiscard]] bool usable() const noexcept { return stage_ != Stage::closed && !suspect_; }
  [[nodiscard]] bool ended() const noexcept { return stage_ == Stage::closed; }
  /// It has open channels.
  [[nodiscard]] bool serves() const noexcept { return stage_ == Stage::open && !channels_.empty(); }

 private:
  enum class Stage { idle, waiting, carrying, handshake, login, open, closed };
  enum class Kind { open, probe, write, close, park, keep_alive };
  struct Operation {
    Kind kind;
    std::shared_ptr<Channel> channel{};
    std::unique_ptr<SocketProbe> probe{};
    bool begun{false};
  };

  static bool opens(const Operation& operation) {
    return operation.kind == Kind::open || operation.kind == Kind::probe;
  }

  void start();
  void start_carrier();
  void carrier_ready(int fd);
  void drive();
  int handshake();
  void handshake_failed();
  int verify_server();
  [[nodiscard]] std::string_view banner() const;
  void log_in();
  void logged_in();
  void pump();
  bool run_operations();
  int step(Operation& operation);
  int open_step(Operation& operation);
  int probe_step(Operation& operation);
  bool give_up_probe();
  int write_step(Channel& channel);
  void open_refused(Operation& operation);
  void read_channels();
  void read_channel(Channel& channel);
  void read_server_messages();
  [[nodiscard]] static bool queued(const Channel& channel);
  [[nodiscard]] bool anything_queued() const;
  void wait();
  void watch(std::chrono::milliseconds timeouts, Errc code, const std::string& words);
  void watch_next_open();
  void overdue(const Error& error);
  void move_unbegun(const std::shared_ptr<Channel>& hanging);
  void retry_or_fail(const Error& error);
  void lose_connection();
  void leave_turn();
  void allow_step();
  [[nodiscard]] Error flood() const;
  [[nodiscard]] std::string disconnect_message();
  [[nodiscard]] Timeouts timeouts() const;

  WorkerContext& context_;
  std::shared_ptr<const Route> route_;
  std::string name_;
  Stage stage_{Stage::idle};
  bool suspect_{false};
  bool served_{false};  ///< it has opened a channel
  bool has_turn_{false};
  bool has_banner_{false};
  std::unique_ptr<Carrier> carrier_;
  boost::asio::posix::stream_descriptor socket_;
  SessionNotes notes_;
  Proposal proposal_;
  SessionHandle session_;
  std::optional<Login> login_;
  std::deque<Operation> operations_;
  std::vector<std::shared_ptr<Channel>> channels_;
  std::shared_ptr<Channel> parked_;  ///< the last one closed; see close()
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer pause_;
  std::optional<Error> pending_;  ///< reported when timer_ expires
  unsigned tries_{0};
  bool readable_{false};  ///< the socket may hold bytes that libssh2 has not read
  bool waiting_to_read_{false};
  bool waiting_to_write_{false};
  bool outbound_{false};
};

}  // namespace stillgate::transport::ssh
