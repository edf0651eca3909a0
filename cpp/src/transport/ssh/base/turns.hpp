// How many handshakes are under way at one server.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>

namespace stillgate::transport::ssh {

/// sshd begins to drop logins at 10 that are under way (MaxStartups 10:30:100). Not thread-safe.
class Turns {
 public:
  static constexpr unsigned initial_limit = 8;

  /// Calls `begin` when it is its turn, perhaps at once. Each turn is given back by leave().
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

  /// That server has closed on one of so many: it takes fewer than these, from now on.
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
