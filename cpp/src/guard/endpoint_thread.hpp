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

/// Has its own connections and thread, so that no endpoint waits for another.
class EndpointThread {
 public:
  /// `state` must outlive it. Starts at once. `first_wait` spreads the later surveys of all
  /// endpoints: together they would need all of their memory at the same moment.
  EndpointThread(SharedState& state, std::size_t number, Endpoint endpoint, hold::Record record,
                 std::chrono::milliseconds first_wait);
  EndpointThread(const EndpointThread&) = delete;
  EndpointThread& operator=(const EndpointThread&) = delete;
  ~EndpointThread() = default;

  /// Interrupts a running survey, from any thread.
  void interrupt();

 private:
  void run();
  runtime_api::Answer ask(const hold::guard_step::Ask& wanted);
  runtime_api::Answer arm(const hold::guard_step::Arm& wanted);

  SharedState& state_;
  std::size_t number_;
  std::vector<Endpoint> endpoint_;  ///< just the one, as a session wants it
  FleetOptions options_;
  std::optional<std::chrono::milliseconds> first_wait_;
  Progress progress_;
  hold::GuardPlan plan_;
  std::unique_ptr<engine::Session> session_;
  std::unique_ptr<engine::HeldLine> held_line_;
  std::mutex mutex_;
  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace stillgate::guard
