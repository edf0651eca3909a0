// One endpoint's part of a guard: carries out its plan, step by step, on the guard's loop.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/options.hpp>

#include "engine/endpoint_session.hpp"
#include "engine/held_line.hpp"
#include "errands.hpp"
#include "fleet/journal.hpp"
#include "hold/guard/guard_plan.hpp"
#include "hold_state.hpp"

namespace stillgate::guard {

/// What the endpoints of a guard share. All outlives them.
struct Surroundings {
  HoldState& state;
  engine::Loop& loop;
  Errands& errands;
  const fleet::Journal& journal;
  const FleetOptions& options;
};

/// Never blocks, and never waits for another endpoint. What throws here counts as an HAProxy that
/// did not answer this time.
class GuardedEndpoint {
 public:
  using Call = std::function<void(GuardedEndpoint&)>;

  /// `first_wait` spreads the later surveys of all endpoints: at the same moment they would all
  /// need memory and HAProxies' time. `on_ready` is called once step() has something to do before
  /// due(); it must not throw.
  GuardedEndpoint(const Surroundings& around, std::size_t number, Endpoint endpoint,
                  hold::Record record, std::chrono::milliseconds first_wait, Call on_ready);
  GuardedEndpoint(const GuardedEndpoint&) = delete;
  GuardedEndpoint& operator=(const GuardedEndpoint&) = delete;
  ~GuardedEndpoint() = default;

  /// Does what can be done now.
  void step(std::chrono::milliseconds now) noexcept;
  /// When step() is to be called again, if nothing happens before, on boot_time().
  [[nodiscard]] std::chrono::milliseconds due() const noexcept { return due_; }
  /// For the guard: it is in the list of those that are ready.
  bool is_listed{false};

 private:
  enum class Doing { asking, arming, waiting, reading, nothing };
  struct JournalRead {
    std::vector<hold::Record> records;
    bool done{false};
  };

  void continue_plan(std::chrono::milliseconds now);
  [[nodiscard]] bool is_held_up(std::chrono::milliseconds now);
  void take_step(std::chrono::milliseconds now);
  void read_journal(std::chrono::milliseconds now);
  void note_exception(std::chrono::milliseconds now, const char* what) noexcept;
  void set_due(std::chrono::milliseconds now) noexcept;
  void finish();
  void fail_line();

  Surroundings around_;
  std::size_t number_;
  Endpoint endpoint_;
  std::optional<std::chrono::milliseconds> first_wait_;
  Call on_ready_;
  hold::GuardPlan plan_;
  engine::EndpointSession session_;

  Doing doing_{Doing::waiting};
  std::chrono::milliseconds until_{0};  ///< of waiting, or the patience of arming and reading
  std::chrono::milliseconds due_{0};
  std::uint64_t changes_seen_{0};
  bool may_interrupt_{false};
  std::optional<runtime_api::Answer> answer_;
  std::shared_ptr<JournalRead> journal_;

  /// HAProxy's own `wait`: it fires where this machine is frozen or cut off.
  std::unique_ptr<engine::HeldLine> held_line_;
};

}  // namespace stillgate::guard
