// The state of the hold, as all parts of the guard know it, and what each endpoint has reported.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <stillgate/error.hpp>

#include "fleet/guard/order.hpp"
#include "hold/guard/guard_plan.hpp"

namespace stillgate::guard {

/// Plain data of the loop's thread. Endpoints are numbered from 0, in the order of `urls`.
class HoldState {
 public:
  HoldState(fleet::GuardOrder order, const std::vector<std::string>& urls);

  // For the endpoints.
  [[nodiscard]] hold::GuardInput input(std::chrono::milliseconds now) const;
  [[nodiscard]] bool is_ending(std::chrono::milliseconds now) const;
  /// Rises when the mode, the deadline or `over` has changed.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  /// Call after every step, with what the endpoint's plan knows now.
  void update(std::size_t endpoint, hold::GuardPlan& plan);
  /// Whether HAProxy's `wait` is the backup of the lease at that endpoint.
  void set_backed(std::size_t endpoint, bool backed);
  void set_finished(std::size_t endpoint);

  // For the guard as a whole.
  struct Notice {
    std::size_t endpoint;
    hold::GuardNotice notice;
  };
  [[nodiscard]] std::vector<Notice> take_notices();
  void set_mode(hold::GuardMode mode);
  /// Somebody has ended the hold, or some of it, elsewhere: nothing is applied again any more.
  void set_over();
  /// Moves the deadline; an earlier one changes nothing.
  void extend(WallTime deadline);

  [[nodiscard]] bool all_surveyed() const;
  [[nodiscard]] std::optional<std::pair<std::size_t, Error>> first_error() const;
  /// Of each endpoint it is known whether HAProxy's `wait` backs it.
  [[nodiscard]] bool all_backing_known() const;
  [[nodiscard]] std::vector<std::size_t> backed_endpoints() const;
  [[nodiscard]] bool all_finished() const noexcept { return finished_ == endpoints_.size(); }
  /// The order for a standby guard that takes over; the revision rises when it changes.
  [[nodiscard]] const fleet::GuardOrder& order() const noexcept { return order_; }
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }

 private:
  struct EndpointState {
    std::vector<std::size_t> switches{};  ///< their places in the order's record
    bool surveyed{false};
    std::optional<Error> error{};
    std::optional<bool> backed{};
    bool finished{false};
  };
  void change();

  std::uint64_t changes_{0};
  fleet::GuardOrder order_;
  std::uint64_t revision_{1};
  std::vector<EndpointState> endpoints_;
  std::size_t finished_{0};
  std::vector<Notice> notices_;
  bool over_{false};
};

}  // namespace stillgate::guard
