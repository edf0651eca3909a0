// What the threads of a guard share: how the hold stands, and what each endpoint's post has told.
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

/// Thread-safe. `wake` is the descriptor of an eventfd that the main thread polls; it becomes
/// readable with whatever a post tells.
class Warden {
 public:
  Warden(fleet::GuardOrder order, std::size_t posts, int wake);

  // For the posts.
  [[nodiscard]] hold::KeepOutlook outlook() const;
  /// Returns at that time, or as soon as the mode, the deadline or `over` has changed.
  void wait_until(std::chrono::milliseconds until);
  [[nodiscard]] bool dismissed() const;
  /// After every answer: what the post's plan knows now.
  void told(std::size_t post, hold::KeepPlan& plan);
  /// HAProxy's `wait` stands behind that endpoint's lease, or does not.
  void backed(std::size_t post, bool armed);
  void left(std::size_t post);

  // For the main thread.
  struct Notice {
    std::size_t post;
    hold::KeepNotice what;
  };
  [[nodiscard]] std::vector<Notice> take_notices();
  void set_mode(hold::GuardMode mode);
  void dismiss();
  /// Somebody has ended the hold, or some of it, elsewhere: nothing is put back any more.
  void set_over();
  /// Moves the deadline on; one that is no later changes nothing.
  void extend(WallTime deadline);

  [[nodiscard]] bool all_looked() const;
  [[nodiscard]] std::optional<std::pair<std::size_t, Error>> first_error() const;
  [[nodiscard]] bool all_settled_backing() const;
  [[nodiscard]] std::vector<std::size_t> backed_posts() const;
  [[nodiscard]] bool all_left() const;
  /// The order as whoever takes over should have it; counts up when it changes.
  [[nodiscard]] fleet::GuardOrder order() const;
  [[nodiscard]] std::uint64_t revision() const;

 private:
  struct Post {
    bool looked{false};
    std::optional<Error> error{};
    std::optional<bool> backed{};
    bool left{false};
  };
  void change();
  void wake_main() const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t changes_{0};
  fleet::GuardOrder order_;
  std::uint64_t revision_{1};
  std::vector<Post> posts_;
  std::vector<Notice> notices_;
  bool over_{false};
  bool dismissed_{false};
  int wake_;
};

}  // namespace stillgate::guard
