// What the session's tests share: a folder of sockets, batches, a listener whose queue is full.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/session.hpp"
#include "fake_haproxy.hpp"

namespace stillgate::engine {

using runtime_api::Answer;
using runtime_api::Batch;
using runtime_api::Closing;
using runtime_api::Command;
using runtime_api::Haste;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

inline constexpr milliseconds short_time{60};

inline Batch batch_for(std::size_t endpoints, Closing closing = Closing::keep) {
  Batch batch;
  batch.closing = closing;
  for (std::size_t i = 0; i < endpoints; ++i) {
    batch.work.push_back({*Command::set_maxconn("f", static_cast<std::int64_t>(i))});
  }
  return batch;
}

inline std::string answer_to(std::size_t index) {
  return fmt::format("answer to set maxconn frontend f {}", index);
}

/// The number of answers that are not the ones that belong to their places.
inline std::size_t misplaced(const std::vector<Answer>& answers) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool right = !answers[i].error && answers[i].replies.size() == 1 &&
                       answers[i].replies[0].text == answer_to(i);
    count += right ? 0U : 1U;
  }
  return count;
}

inline std::optional<Errc> code_of(const Answer& answer) {
  return answer.error ? std::optional(answer.error->code) : std::nullopt;
}

class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stillgate-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SessionTest() override { std::filesystem::remove_all(folder_); }
  SessionTest(const SessionTest&) = delete;
  SessionTest& operator=(const SessionTest&) = delete;

  [[nodiscard]] std::filesystem::path path(const std::string& name) const { return folder_ / name; }
  void add(const std::string& name) { endpoints_.push_back(*Endpoint::parse(path(name).string())); }
  /// Many endpoints of one server: other names of its socket.
  void add_names(const std::string& name, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string other = fmt::format("{}{}", name, i);
      std::filesystem::create_symlink(path(name), path(other));
      add(other);
    }
  }
  std::vector<Answer> run(const Batch& batch, std::stop_token stop = {}) {
    Session session(endpoints_, options_, progress_);
    return session.run(batch, std::move(stop));
  }
  /// One endpoint of this manner and one command.
  Answer ask(Manner manner, Closing closing = Closing::quit) {
    const FakeHaproxy server(path("a"), manner);
    add("a");
    return run(batch_for(1, closing))[0];
  }

  std::filesystem::path folder_;
  std::vector<Endpoint> endpoints_;
  FleetOptions options_;
  Progress progress_;
};

/// Nobody listens there, or nobody accepts there.
class Listener {
 public:
  Listener(int family, const sockaddr* address, socklen_t size)
      : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(::bind(fd_, address, size), 0);
    EXPECT_EQ(::listen(fd_, 0), 0);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    for (const int fd : clients_) ::close(fd);
    ::close(fd_);
  }
  void fill(int family, const sockaddr* address, socklen_t size) {
    for (int i = 0; i < 4; ++i) {
      clients_.push_back(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(clients_.back(), address, size);
    }
  }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

 private:
  int fd_;
  std::vector<int> clients_;
};

}  // namespace stillgate::engine
