// A session: the connections to one fleet, which run one batch after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <stillgate/endpoint.hpp>
#include <stillgate/options.hpp>

#include "link.hpp"
#include "runtime_api/batch.hpp"

namespace stillgate::engine {

/// Not thread-safe: runs on its caller's thread. Only the stop token may be used from other
/// threads. There is at most one connection per endpoint. With Closing::keep, connections stay open
/// from batch to batch, and close with the session.
class Session final : public LinkObserver {
 public:
  /// `endpoints`, `options` and `progress` must outlive the session. `stop` ends a prompt on
  /// the terminal.
  Session(const std::vector<Endpoint>& endpoints, const FleetOptions& options, Progress& progress,
          const std::stop_token& stop = {});
  ~Session() override;

  /// How many connections can be open at once; one per endpoint, if the file limit allows it.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// One answer per endpoint, in the endpoints' order. More endpoints than capacity() wait for free
  /// connections with Closing::quit, and get `file_limit` with Closing::keep. After a stop, each
  /// unfinished one gets `cancelled`.
  std::vector<runtime_api::Answer> run(const runtime_api::Batch& batch,
                                       const std::stop_token& stop);

 private:
  void on_link_connected() override;
  void on_link_at_barrier() override;
  void on_link_finished(Link& link) override;
  void on_link_deadline(Clock::time_point deadline) override;

  void start_more();
  void settle_barrier();
  void open_barrier();
  void release_due();
  void fail_waiting(const std::vector<Link*>& links);
  void fail_waiting(const std::vector<Link*>& links, const Error& error);
  void cancel();
  void arm_timer();
  void note_well_answered();
  void call_late(Clock::time_point when);
  void fail_late(Clock::time_point now);
  void name_stats_maxconn();
  void each_active(const std::function<void(Link&)>& act);

  Progress& progress_;
  boost::asio::io_context io_;
  transport::Shared shared_;
  boost::asio::steady_timer timer_;
  std::optional<Clock::time_point> armed_for_;
  std::vector<std::unique_ptr<Link>> links_;
  std::size_t capacity_;

  const runtime_api::Batch* batch_{nullptr};
  std::size_t next_{0};          ///< the first endpoint that was not started
  std::size_t participants_{0};  ///< endpoints with work in this batch
  std::size_t active_{0};
  std::size_t at_barrier_{0};
  std::size_t finished_{0};
  std::size_t answered_well_{0};
  Clock::duration patience_;  ///< before slow links fail, if there is haste
  Clock::time_point begun_at_;
  std::optional<Clock::time_point> late_at_;
  bool released_{false};
  /// The aligned sends that are due, the last one first.
  std::vector<std::pair<Clock::time_point, Link*>> due_;
  boost::asio::steady_timer align_timer_;
  bool starting_{false};
  bool cancelled_{false};
  std::uint64_t run_number_{0};
};

}  // namespace stillgate::engine
