// What the threads of a guard share: the state of the hold, and the reports of each endpoint's
// thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <stillgate/error.hpp>

#include "fleet/guard/order.hpp"
#include "hold/guard/guard_plan.hpp"

namespace stillgate::guard {

/// Thread-safe. Endpoints are numbered from 0. `wake` is the descriptor of an eventfd that the main
/// thread polls; it becomes readable with whatever an endpoint's thread reports.
class SharedState {
 public:
  SharedState(fleet::GuardOrder order, std::size_t endpoints, int wake);

  // For the endpoints' threads.
  [[nodiscard]] hold::GuardInput input() const;
  /// Returns at that time, or as soon as the mode, the deadline or `over` has changed.
  void wait_until(std::chrono::milliseconds until);
  [[nodiscard]] bool dismissed() const;
  /// Call after every step, with what the endpoint's plan knows now.
  void update(std::size_t endpoint, hold::GuardPlan& plan);
  /// Whether HAProxy's `wait` is the backup of the lease at that endpoint.
  void set_backed(std::size_t endpoint, bool backed);
  void set_finished(std::size_t endpoint);

  // For the main thread.
  struct Notice {
    std::size_t endpoint;
    hold::GuardNotice notice;
  };
  [[nodiscard]] std::vector<Notice> take_notices();
  void set_mode(hold::GuardMode mode);
  /// All threads are to end.
  void dismiss();
  /// Somebody has ended the hold, or some of it, elsewhere: nothing is applied again any more.
  void set_over();
  /// Moves the deadline; an earlier one changes nothing.
  void extend(WallTime deadline);

  [[nodiscard]] bool all_surveyed() const;
  [[nodiscard]] std::optional<std::pair<std::size_t, Error>> first_error() const;
  /// Of each endpoint it is known whether HAProxy's `wait` backs it.
  [[nodiscard]] bool all_backing_known() const;
  [[nodiscard]] std::vector<std::size_t> backed_endpoints() const;
  [[nodiscard]] bool all_finished() const;
  /// The order for a standby guard that takes over; the count rises when it changes.
  [[nodiscard]] fleet::GuardOrder order() const;
  [[nodiscard]] std::uint64_t revision() const;

 private:
  struct EndpointState {
    bool surveyed{false};
    std::optional<Error> error{};
    std::optional<bool> backed{};
    bool finished{false};
  };
  void change();
  void wake_main() const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_{0};
  fleet::GuardOrder order_;
  std::uint64_t revision_{1};
  std::vector<EndpointState> endpoints_;
  std::vector<Notice> notices_;
  bool over_{false};
  bool dismissed_{false};
  int wake_;
};

}  // namespace stillgate::guard
