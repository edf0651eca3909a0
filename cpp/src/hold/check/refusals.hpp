// What stands against a hold: the survey weighed against the rules.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/report.hpp>

#include "hold/record/record.hpp"
#include "hold/survey/survey.hpp"

namespace stillgate::hold {

struct Question {
  std::vector<std::string> endpoints;  ///< canonical URLs
  std::vector<std::string> frontends;
  Method method{Method::automatic};
  bool accept_unproven{false};
  Expiry on_expiry{Expiry::release};
  std::int64_t max_waiting{0};
  bool accept_hazard{false};
  bool no_lease{false};  ///< nothing shall end a hold by maxconn
  std::chrono::milliseconds max_hold{15'000};
  /// How many connections may wait at the listening TCP ports of this machine.
  std::map<std::uint16_t, std::int64_t> listen_depths;
};

/// One switch per endpoint and frontend, in that order, with what was found and, for a refusal,
/// the error that says it. `records`: holds known to be in effect.
[[nodiscard]] std::vector<Switch> weigh(const Question& question, const std::vector<Seen>& seen,
                                        const std::vector<Record>& records);

/// The record of a hold on this frontend: what the HAProxy itself remembers comes before what
/// `records` (the journal) know, because it lives and ends with the hold.
[[nodiscard]] const Record* record_of(const Seen& seen, std::size_t frontend,
                                      std::string_view endpoint, std::string_view name,
                                      const std::vector<Record>& records);

/// Why a hold stands in the way there, by a hold of ours or by somebody's hand; `target` is told
/// its id. `record`: what record_of() gives.
[[nodiscard]] std::optional<Error> held_already(Switch& target, const Seen& seen,
                                                std::size_t frontend, const Record* record);

/// A time of the day, as messages tell it.
[[nodiscard]] std::string clock(WallTime time);

/// A frontend that refuses its clients is no held one.
[[nodiscard]] Error stopped(std::string_view frontend);

/// Weighs, and says in the report how the check ended and whose holds are in the way.
void conclude(Report& report, const Question& question, const std::vector<Seen>& seen,
              const std::vector<Record>& records);

/// From where that record's leaks are counted. What an HAProxy below 2.4 keeps does not say it, and
/// the journal's record of the same hold does.
[[nodiscard]] std::optional<Counters> counters_before(const Record& record,
                                                      std::string_view endpoint,
                                                      std::string_view frontend,
                                                      const std::vector<Record>& records);

/// The newest record that holds this frontend at this endpoint, or nullptr.
[[nodiscard]] const Record* find_record(const std::vector<Record>& records,
                                        std::string_view endpoint, std::string_view frontend);

}  // namespace stillgate::hold
