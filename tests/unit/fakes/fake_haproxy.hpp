// A small server of HAProxy's prompt mode on a unix socket, in a thread of the test's own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace stillgate::engine {

/// How it treats whoever connects.
enum class Manner {
  answers,      ///< each command with `answer to <command>`
  silent,       ///< accepts, and never says a word
  greets_only,  ///< answers the greeting and no command
  breaks_off,   ///< answers half of a command, then closes
  resets,       ///< closes with what was sent unread
  floods,       ///< answers a command with 100 kB
  speaks_ssh,   ///< is something else
  is_a_master,  ///< is the master's socket
};

class FakeHaproxy {
 public:
  struct State {
    std::size_t accepted{0};
    std::size_t open{0};
    std::size_t most_open{0};
    std::size_t greeted{0};               ///< connections
    std::size_t taken{0};                 ///< times that something had come, with a lag
    std::vector<std::string> commands;    ///< without greeting and quit
    std::vector<std::size_t> greeted_at;  ///< per command: how many were greeted by then
  };

  /// With a lag all that it reads is answered so much later, as over a long path.
  FakeHaproxy(const std::filesystem::path& path, Manner manner,
              std::chrono::milliseconds lag = std::chrono::milliseconds(0));
  FakeHaproxy(const FakeHaproxy&) = delete;
  FakeHaproxy& operator=(const FakeHaproxy&) = delete;
  ~FakeHaproxy();

  /// The connection with this number (from 1) is not greeted until `greet_all`.
  void delay_greeting_of(std::size_t number);
  void greet_all();
  /// From now on without lag, and each command is answered by half.
  void break_off_next();
  /// Closes every connection; returns when that is done.
  void close_all();

  State state();
  /// Waits until the state is as wanted; false after ten seconds.
  bool wait_until(const std::function<bool(const State&)>& wanted);

 private:
  struct Connection {
    std::size_t number{0};
    std::string unread;
    std::size_t lines{0};
  };

  void serve();
  void accept_all();
  void read_from(int fd);
  void take_lines(int fd, Connection& connection);
  /// False: the connection is to be closed.
  bool take_line(int fd, Connection& connection, const std::string& line);
  bool greet(int fd, Connection& connection);
  bool answer(int fd, const std::string& command);
  void drop(int fd);
  void obey();
  void tell(char what);

  void wait_for_the_lag();

  Manner manner_;
  std::chrono::milliseconds lag_;
  int listener_;
  int poller_;
  int orders_[2]{};  ///< a pipe into the thread
  std::map<int, Connection> connections_;
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_;
  std::size_t delayed_{0};
  bool closed_all_{false};
  bool running_{true};
  std::thread thread_;
};

}  // namespace stillgate::engine
