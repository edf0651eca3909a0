// What a resume decides on: its request, and one row per endpoint with one per switch.
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
#include "hold/record/owner.hpp"
#include "hold/record/record.hpp"
#include "hold/request.hpp"
#include "hold/rows.hpp"
#include "hold/survey/condition.hpp"
#include "hold/survey/survey.hpp"

namespace stillgate::hold {

struct ResumeRequest {
  HoldRequest hold;
  std::vector<Record> records;        ///< holds that the journal knows
  std::vector<Record> ended;          ///< and those that are over
  std::optional<std::int64_t> limit;  ///< in place of the recorded one; 1 to 2^31-1
  std::chrono::milliseconds ramp{
      0};  ///< lets the queue of a gate go, and raises the limits over that time; 0: at once
  bool wait_up{false};  ///< not before each backend has a server that is up, but for those that had
                        ///< none when the hold began
  NameList wait_up_for;  ///< the same for these only
  std::chrono::milliseconds retry_for{0};
  Claim claim{};
  bool at_deadline{false};  ///< the caller knows that the hold ends now, by whatever means
};

/// One frontend at one endpoint on its way to being released.
struct ResumedSwitch {
  std::size_t place{0};  ///< of its frontend in the request, which is its place in a Seen
  Switch report;         ///< as the report has it
  bool settled{false};
  bool written{false};             ///< a release was sent
  bool ramped{false};              ///< it takes part in the ramp that is under way
  bool unfinished{false};          ///< open, but by a ramp that was broken off
  bool remembered{false};          ///< the HAProxy keeps a record of the hold
  bool young{false};               ///< its process may be one that a guard is about to hold again
  bool followed{false};            ///< it was resumed, or open, in the old worker of a reload
  bool was_gated{false};           ///< the gate held it when it was seen first
  bool was_held{false};            ///< it was seen held in this call: nothing has passed before
  bool hazardous{false};           ///< its release may kill the HAProxy, which was accepted
  bool at_risk{false};             ///< so it is, and was sent
  bool foreign{false};             ///< its record is of somebody else's hold
  bool forced{false};              ///< so it was, and it was told that this is overruled
  std::string meant{};             ///< the hold that was to be ended when another one came
  bool keeps_marks{false};         ///< the HAProxy has process variables
  LockSeen lock{};                 ///< as it was seen last
  GateHandle gate{};               ///< `used`: it is the gate that holds
  std::size_t commands{0};         ///< of the release that is under way
  std::optional<Error> lost{};     ///< no answer came to it: it may never have arrived
  std::optional<Error> refusal{};  ///< HAProxy's answer to it
  std::optional<std::int64_t> target{};
  std::optional<Record> record{};  ///< of the hold, from the HAProxy or the journal
};

struct ResumedEndpoint {
  std::string url;
  std::optional<Seen> first{};            ///< what was seen first
  std::optional<Seen> last{};             ///< what was seen last
  std::vector<ResumedSwitch> switches{};  ///< in the order of the frontends
  // After a release at risk:
  std::optional<std::chrono::milliseconds> watched_until{};
  std::optional<Error> silence{};  ///< the last look found no answer
  int failures{0};                 ///< so many in a row looked like death
  bool died{false};
};

/// In the order of the request.
using ResumeRows = std::vector<ResumedEndpoint>;

/// Seen at 0 just now (or in the middle of a ramp that nobody finished), and wanted open.
[[nodiscard]] inline bool is_due(const ResumedSwitch& row) {
  return !row.settled && !row.written && (row.target || row.gate.used) &&
         (row.unfinished || row.report.verdict == Verdict::held);
}

/// Open, with the limit that was wanted or by somebody else's hand: no record is needed any more.
[[nodiscard]] inline bool is_over(const ResumedSwitch& row) {
  const Verdict verdict = row.report.verdict;
  return (verdict == Verdict::resumed || verdict == Verdict::open) && !row.unfinished;
}

[[nodiscard]] inline bool is_pending(const ResumedSwitch& row) { return !row.settled; }

/// No other hold has come to those frontends since they were looked at.
template <class Test>
[[nodiscard]] runtime_api::Condition unchanged(const ResumedEndpoint& endpoint, const Test& test) {
  const auto& seen = endpoint.last && !endpoint.last->error ? endpoint.last : endpoint.first;
  std::vector<Place> places;
  for (const ResumedSwitch& row : endpoint.switches) {
    if (!test(row)) continue;
    Place place{row.place, row.report.frontend};
    if (row.record) place.known.push_back(row.record->id);
    places.push_back(std::move(place));
  }
  return seen ? no_other_hold(*seen, endpoint.url, places) : runtime_api::Condition();
}

}  // namespace stillgate::hold
