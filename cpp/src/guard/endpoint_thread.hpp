// One endpoint's part of a guard: a thread that carries out its plan.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/options.hpp>

#include "engine/held_line.hpp"
#include "engine/session.hpp"
#include "hold/guard/guard_plan.hpp"
#include "shared_state.hpp"

namespace stillgate::guard {

/// With connections and a thread of its own, so that no endpoint waits for another.
class Post {
 public:
  /// `warden` must outlive it. Starts at once. `first_rest` spreads the later looks of all posts:
  /// together they would need all of their memory at the same moment.
  Post(Warden& warden, std::size_t number, Endpoint endpoint, hold::Record record,
       std::chrono::milliseconds first_rest);
  Post(const Post&) = delete;
  Post& operator=(const Post&) = delete;
  ~Post() = default;

  /// Breaks off a look that is under way, from any thread.
  void interrupt();

 private:
  /// What the line says, and to whom.
  struct Backing {
    std::chrono::milliseconds deadline{0};
    std::int64_t process{0};
    std::vector<hold::HeldSwitch> releases;
    bool operator==(const Backing&) const = default;
  };

  void run();
  runtime_api::Answer ask(const hold::keep::Ask& wanted);
  void back_up(const hold::KeepOutlook& outlook);

  Warden& warden_;
  std::size_t number_;
  std::vector<Endpoint> endpoint_;  ///< just the one, as a session wants it
  FleetOptions options_;
  std::optional<std::chrono::milliseconds> first_rest_;
  Progress progress_;
  hold::KeepPlan plan_;
  std::unique_ptr<engine::Session> kept_;
  std::unique_ptr<engine::HeldLine> line_;
  std::optional<Backing> backing_;
  std::mutex mutex_;
  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace stillgate::guard
