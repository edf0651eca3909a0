// The connections to one endpoint, on a loop that many share: asks, and keeps what answered.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/options.hpp>

#include "link.hpp"
#include "loop.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::engine {

/// Of a Session it has what one endpoint needs, and it does not block. At most two connections at
/// once. Not thread-safe.
class EndpointSession final : public LinkObserver {
 public:
  /// All must outlive it. `on_settled` is called from within the loop, or from within ask() and
  /// cancel(), once there is an answer to take; it must not throw.
  EndpointSession(const Endpoint& endpoint, Loop& loop, const FleetOptions& options,
                  std::function<void()> on_settled);
  EndpointSession(const EndpointSession&) = delete;
  EndpointSession& operator=(const EndpointSession&) = delete;
  ~EndpointSession() override;

  /// Ends in an answer, whatever happens: an exception is one with `system_error`. With `fresh` it
  /// goes over a new connection, which replaces the kept one once it has answered.
  void ask(std::vector<runtime_api::Command> commands, bool fresh) noexcept;
  /// Gives up on the answer. No exception, and no answer any more.
  void drop() noexcept;
  /// The answer becomes `cancelled`, unless there is one already.
  void cancel();
  /// To be called when the deadline has come.
  void expire(Clock::time_point now);
  [[nodiscard]] std::optional<Clock::time_point> deadline() const;
  /// Not from within the loop. Nothing while there is none.
  std::optional<runtime_api::Answer> take_answer();
  /// Closes all connections.
  void close() noexcept;

 private:
  void on_link_connected() override {}
  void on_link_at_barrier() override {}
  void on_link_finished(Link& link) override;
  void on_link_deadline(Clock::time_point /*deadline*/) override {}
  bool on_link_threw() noexcept override;
  [[nodiscard]] runtime_api::Answer answer_of_exception() const;

  const Endpoint& endpoint_;
  Loop& loop_;
  const FleetOptions& options_;
  std::function<void()> on_settled_;
  std::vector<runtime_api::Command> commands_;
  runtime_api::Batch batch_;
  std::unique_ptr<Link> kept_;
  std::unique_ptr<Link> fresh_;
  Link* asked_{nullptr};
  bool settled_{false};
  std::exception_ptr thrown_;
};

}  // namespace stillgate::engine
