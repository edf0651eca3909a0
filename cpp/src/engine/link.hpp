// One endpoint's connection: runs exchanges over a transport, and sets their deadlines.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/options.hpp>

#include "runtime_api/batch.hpp"
#include "runtime_api/exchange.hpp"
#include "transport/transport.hpp"

namespace stillgate::engine {

using Clock = std::chrono::steady_clock;

class Link;

/// How much longer than for a few a HAProxy may take for so many commands: hundreds of frontends
/// are thousands, and the machine may be busy.
[[nodiscard]] std::chrono::milliseconds more_time(std::size_t commands);

/// What a link reports to its session, on the session's thread.
class LinkObserver {
 public:
  LinkObserver() = default;
  LinkObserver(const LinkObserver&) = delete;
  LinkObserver& operator=(const LinkObserver&) = delete;
  virtual ~LinkObserver() = default;

  virtual void on_link_connected() = 0;
  virtual void on_link_at_barrier() = 0;
  virtual void on_link_finished(Link& link) = 0;
  virtual void on_link_deadline(Clock::time_point deadline) = 0;
  /// Called in a handler of the exception that a call of the transport's ended with. The link must
  /// be closed. False: the exception goes on to whoever runs the loop.
  virtual bool on_link_threw() noexcept { return false; }
};

class Link final : public transport::Listener {
 public:
  Link(const Endpoint& endpoint, transport::Shared& shared, const FleetOptions& options,
       Clock::time_point epoch, LinkObserver& observer);

  /// Starts an exchange of these commands, on the kept connection if that is good and the batch
  /// wants no new one. With a condition that one is asked first. All must outlive it. Ends in
  /// on_link_finished.
  void begin(const std::vector<runtime_api::Command>& commands, const runtime_api::Batch& batch,
             const runtime_api::Condition* condition = nullptr);
  /// Opens the barrier for this link: it may write.
  void release();
  void fail(const Error& error);
  /// Fails if the deadline is not after `now`; the code names what the link waited for.
  void expire(Clock::time_point now);

  /// The error of a link that is too slow, while other endpoints are held.
  [[nodiscard]] Error late() const;

  /// Its condition was asked too long ago, as it stands at the barrier. The next time it may have
  /// taken as long: others may always be slow.
  [[nodiscard]] bool is_stale_at_barrier();

  [[nodiscard]] bool active() const noexcept { return exchange_.has_value(); }
  [[nodiscard]] std::optional<Clock::time_point> deadline() const noexcept { return deadline_; }
  [[nodiscard]] runtime_api::Answer& answer() noexcept { return answer_; }
  /// The process at the other end of the last connection, if the kernel knows it.
  [[nodiscard]] std::optional<int> peer_pid() const noexcept { return peer_pid_; }
  /// The shortest time from a write to the first byte after it, over all connections of this link.
  [[nodiscard]] std::optional<Clock::duration> round_trip() const noexcept { return round_trip_; }
  void close();

 private:
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_end_of_stream() override;
  void on_failed(Error error) override;

  void ask(bool fresh);
  void judge();
  void give_up(Error error);
  void connected();
  void resume(const runtime_api::Event& event);
  template <class Act>
  void guarded(Act act);
  void apply(runtime_api::Action action);
  void finish();
  void watch();
  [[nodiscard]] Error overdue() const;
  [[nodiscard]] double elapsed_ms() const;

  const Endpoint& endpoint_;
  transport::Shared& shared_;
  const FleetOptions& options_;
  Clock::time_point epoch_;
  LinkObserver& observer_;
  std::shared_ptr<transport::Transport> transport_;
  const std::vector<runtime_api::Command>* commands_{nullptr};
  const runtime_api::Batch* batch_{nullptr};
  const runtime_api::Condition* condition_{nullptr};
  bool asking_{false};  ///< the exchange is that of the condition
  int questions_{0};
  std::chrono::milliseconds asked_at_{0};
  std::chrono::milliseconds usual_age_{0};       ///< of the answer before
  std::chrono::milliseconds usual_standing_{0};  ///< as long a barrier took that was too long
  std::optional<runtime_api::Exchange> exchange_;
  runtime_api::Waiting watched_{runtime_api::Waiting::nothing};
  std::optional<Clock::time_point> deadline_;
  std::optional<int> peer_pid_;
  std::optional<Clock::time_point> written_at_;  ///< and nothing was read since then
  std::optional<Clock::duration> round_trip_;
  Timings timings_;
  runtime_api::Answer answer_;
};

}  // namespace stillgate::engine
