// A worker's thread and its sessions.
#include "worker.hpp"

#include <chrono>
#include <utility>

namespace stillgate::transport::ssh {
namespace {

/// Far below the idle timeouts of usual firewalls, and longer than the pauses in a hold's own
/// traffic.
constexpr std::chrono::seconds between_keep_alives{5};
constexpr std::chrono::seconds stop_timeout{2};
constexpr std::chrono::milliseconds poll_interval{20};
constexpr std::size_t buffer_bytes = std::size_t{32} * 1024;

}  // namespace

Worker::Worker(MakeJump make_jump)
    : work_(io_.get_executor()),
      mailbox_(std::make_shared<Mailbox>(io_)),
      resolver_(io_),
      buffer_(buffer_bytes),
      context_{io_, resolver_, turns_, std::move(make_jump), *this, buffer_},
      keep_alive_timer_(io_) {}

Worker::~Worker() = default;

void Worker::start(bool resolves) {
  if (resolves) resolver_.keep_thread();
  keep_alive();
  // The thread keeps the worker alive in case it is detached.
  thread_ = std::thread([self = shared_from_this()] { self->run(); });
}

void Worker::stop() {
  io_.stop();
  const auto ended = ended_.get_future();
  const auto until = std::chrono::steady_clock::now() + stop_timeout;
  for (;;) {
    if (ended.wait_for(poll_interval) == std::future_status::ready) {
      thread_.join();
      return;
    }
    if (std::chrono::steady_clock::now() > until) break;
  }
  thread_.detach();
}

void Worker::run() {
  io_.run();
  mailbox_->close();
  const Error gone{Errc::cancelled, "the SSH sessions of this process ended"};
  for (const auto& [key, connection] : std::exchange(connections_, {})) connection->fail(gone);
  for (const auto& connection : std::exchange(replaced_, {})) connection->fail(gone);
  ended_.set_value();
}

std::shared_ptr<Connection> Worker::connection(const std::shared_ptr<const Route>& route) {
  auto& kept = connections_[route->key()];
  if (kept && !kept->usable() && kept->serves()) replaced_.push_back(kept);
  if (!kept || !kept->usable()) kept = std::make_shared<Connection>(context_, route);
  return kept;
}

void Worker::keep_alive() {
  keep_alive_timer_.expires_after(between_keep_alives);
  keep_alive_timer_.async_wait([this](const boost::system::error_code& code) {
    if (code) return;
    for (const auto& [key, connection] : connections_) connection->keep_alive();
    for (const auto& connection : replaced_) connection->keep_alive();
    std::erase_if(replaced_, [](const auto& connection) { return !connection->serves(); });
    std::erase_if(connections_, [](const auto& entry) { return entry.second->ended(); });
    keep_alive();
  });
}

}  // namespace stillgate::transport::ssh
