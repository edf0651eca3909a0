// What a suspend decides on: its request, and one row per endpoint with one per switch.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/report.hpp>

#include "hold/record/gate_token.hpp"
#include "hold/record/lock_variables.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/rows.hpp"
#include "hold/survey/condition.hpp"
#include "hold/survey/survey.hpp"
#include "runtime_api/command.hpp"
#include "runtime_api/streams.hpp"

namespace stillgate::hold {

struct SuspendRequest {
  HoldRequest hold;
  Record record;              ///< without switches, which are the rows, and without times
  std::vector<Record> known;  ///< holds that the journal knows
  std::chrono::milliseconds drain_timeout{0};  ///< 0: do not wait
};

/// How far the lock on one switch is (lock.hpp).
struct LockSlot {
  enum class State {
    asking,     ///< whether the last holder has it still
    following,  ///< the last holder has not: we come next
    done,
    failed
  };
  State state{State::asking};
  bool locks{false};    ///< this HAProxy has compare and set, or its gate has a lock
  bool by_gate{false};  ///< the gate's lock is taken, not the variables'
  std::size_t turn{0};  ///< the switches of one turn are locked in one batch
  /// The place, among its HAProxy's switches, of the one whose lock has to be ours first.
  std::optional<std::size_t> behind{};
  std::chrono::milliseconds lasts{0};  ///< for the gate's lock
  LockHolder last{};                   ///< whoever came last, as far as is known
  std::string value{};                 ///< ours
  bool ours{false};                    ///< read back
  bool uncertain{false};               ///< it was asked for, and the answer never came
  int steps{0};
  std::optional<Error> error{};
  std::optional<Record> holder{};  ///< the hold in the way
  std::optional<std::string> hold_id{};
};

/// How far the drain of one HAProxy is (drain.hpp).
struct DrainState {
  bool drained{false};
  std::optional<std::int64_t> quiet_begun;  ///< requests so far, when it was quiet
  bool listing{false};                      ///< the look that is under way lists the streams
  std::optional<std::chrono::milliseconds> listed_at;
  std::optional<std::vector<runtime_api::Stream>> streams;  ///< of the held frontends
  /// Those that were in every list so far: what a gate lets pass later is exempt.
  std::optional<std::vector<runtime_api::Stream>> before;
  std::optional<Error> error;
  int failures{0};
};

struct SuspendedSwitch {
  std::size_t place{0};  ///< of its frontend in the request, which is its place in a Seen
  Switch report;         ///< as the report has it
  HeldSwitch held;       ///< as the record has it
  GateHandle gate{};     ///< `used`: it is to be held by the gate
  LockSlot lock{};
  std::vector<runtime_api::Command> commands{};  ///< what arming, or the commit, sends for it
  std::optional<Error> error_before{};           ///< when the rollback began
};

struct SuspendedEndpoint {
  std::string url;
  Seen before;        ///< by the check
  Seen last{};        ///< the last good look since the commit
  bool armed{false};  ///< it may keep our record
  bool sent{false};   ///< the commit may have reached it
  bool lost{false};   ///< and its answer never came
  DrainState drain{};
  std::vector<SuspendedSwitch> switches{};  ///< in the order of the frontends
};

/// In the order of the request.
using SuspendRows = std::vector<SuspendedEndpoint>;

/// The hold may still be in effect there.
[[nodiscard]] inline bool may_be_held(const SuspendedSwitch& row) {
  return row.report.verdict == Verdict::held || row.report.verdict == Verdict::unknown;
}

/// No other hold has come to those frontends since the check. `stands`: and ours has not ended.
template <class Test>
[[nodiscard]] runtime_api::Condition unchanged(const SuspendedEndpoint& endpoint,
                                               const std::string& id, const Test& test,
                                               bool stands = false) {
  std::vector<Place> places;
  for (const SuspendedSwitch& row : endpoint.switches) {
    if (!test(row)) continue;
    Place place{row.place, row.report.frontend, {id, row.lock.last.id}};
    if (stands) place.only = id;
    places.push_back(std::move(place));
  }
  return no_other_hold(endpoint.before, endpoint.url, places);
}

/// The record of that switch alone. `hold`: a record without switches.
[[nodiscard]] inline Record record_for(const Record& hold, const SuspendedSwitch& row) {
  Record record = hold;
  record.switches = {row.held};
  return record;
}

}  // namespace stillgate::hold
