// The survey: what each HAProxy says of itself and of the frontends in question.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/info.hpp>

#include "../runtime_api/batch.hpp"

namespace stillgate::hold {

/// One endpoint. `info` and `limits` are there unless `error` is.
struct Seen {
  std::optional<Error> error;
  std::optional<Info> info;
  std::vector<std::optional<std::int64_t>> limits;  ///< per frontend asked; empty: no such one
  std::optional<std::string> level;  ///< of the socket; empty where HAProxy does not tell
  std::optional<double> rtt_ms;

  /// The process that was there before answers, not one that took its place.
  [[nodiscard]] bool same_process(const Seen& before) const;
};

/// The commands of a survey, for one endpoint.
[[nodiscard]] std::vector<runtime_api::Command> survey_commands();

[[nodiscard]] Seen read_survey(const runtime_api::Answer& answer,
                               const std::vector<std::string>& frontends);

}  // namespace stillgate::hold
