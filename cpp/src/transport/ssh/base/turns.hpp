// Limits how many handshakes run at one server at a time.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>

namespace stillgate::transport::ssh {

/// sshd begins to drop connections at 10 unfinished logins (MaxStartups 10:30:100). Not
/// thread-safe.
class Turns {
 public:
  static constexpr unsigned initial_limit = 8;

  /// Calls `begin` when there is room, perhaps at once. Each call of `begin` needs one leave().
  void take(const std::string& server, std::function<void()> begin) {
    Queue& queue = queues_[server];
    if (queue.active < queue.limit) {
      ++queue.active;
      begin();
    } else {
      queue.waiting.push_back(std::move(begin));
    }
  }

  void leave(const std::string& server) {
    Queue& queue = queues_[server];
    if (queue.waiting.empty() || queue.active > queue.limit) {
      if (--queue.active == 0 && queue.limit == initial_limit) queues_.erase(server);
      return;
    }
    const auto begin = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    begin();
  }

  /// The server refused a connection: lowers its limit below the number that were active.
  void refused(const std::string& server) {
    Queue& queue = queues_[server];
    queue.limit = std::clamp(queue.active - 1, 1U, queue.limit);
  }

 private:
  struct Queue {
    unsigned limit{initial_limit};
    unsigned active{0};
    std::deque<std::function<void()>> waiting;
  };
  std::map<std::string, Queue> queues_;
};

}  // namespace stillgate::transport::ssh
