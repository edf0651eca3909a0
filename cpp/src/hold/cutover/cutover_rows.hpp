// What a cutover decides on: one row per endpoint, which has one row per change.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/cutover.hpp>
#include <stillgate/error.hpp>
#include <stillgate/report.hpp>

#include "hold/record/cutover_record.hpp"
#include "hold/record/owner.hpp"
#include "hold/record/record.hpp"
#include "hold/survey/server_health.hpp"
#include "hold/survey/survey.hpp"
#include "runtime_api/command.hpp"
#include "runtime_api/servers.hpp"

namespace stillgate::hold {

struct CutoverRequest {
  std::string name;
  std::vector<std::string> endpoints;  ///< canonical URLs
  std::vector<CutoverRow> changes;     ///< what is wanted where; `before` counts for nothing
  std::vector<CutoverRow> known;       ///< on record under this name
  bool back{false};                    ///< afterwards nothing is on record any more
  bool dry_run{false};
  /// A dry run of `--ready-first`: what that would have checked before is no reason against it.
  bool ready_first{false};
  std::chrono::milliseconds retry_for{0};
  /// So long it waits at its beginning for a first check of a server that is to serve.
  std::chrono::milliseconds check_for{0};
  /// All of these are held by the caller, or nothing is changed. None: no hold is asked for.
  std::vector<std::string> frontends;
  std::vector<Record> records;  ///< holds that the journal knows
  Claim claim;
  std::chrono::milliseconds keep{0};  ///< of the hold, for what is to be done inside it afterwards
  /// With less than this left of the hold it does not begin, either.
  std::chrono::milliseconds enough{0};
};

/// What one HAProxy reports of what a cutover may touch.
struct Standing {
  Seen seen;
  runtime_api::Backends backends;
  std::map<std::string, ServerHealth> healths{};                     ///< by `BACKEND/SERVER`
  std::vector<std::string> files;                                    ///< of maps that are loaded
  std::map<std::string, std::map<std::string, std::string>> maps{};  ///< those that are named
};

struct ChangeAtEndpoint {
  CutoverRow row;                      ///< `before` is what goes on record
  std::optional<std::string> first{};  ///< what stood there when the call began
  std::optional<std::string> now{};    ///< as last read
  std::int64_t written{0};             ///< so often
  std::optional<Error> refusal{};      ///< HAProxy's own
  std::optional<Error> error{};
};

struct CutEndpoint {
  std::string url;
  std::vector<ChangeAtEndpoint> changes;
  std::vector<std::string> files;  ///< of the maps that are asked for
  Standing standing;               ///< as last read
  std::optional<Error> error;      ///< of the last reading
};

using CutRows = std::vector<CutEndpoint>;

/// The rows of a request, with nothing read yet.
[[nodiscard]] CutRows rows_of(const CutoverRequest& request);

/// A change of a server's state after which it serves.
[[nodiscard]] bool makes_ready(const CutoverRow& row);

/// The state, as HAProxy has it; nullptr: there is no such server.
[[nodiscard]] const runtime_api::ServerState* server_at(const Standing& standing,
                                                        const std::string& place);

/// Whether that server is up, and what it is. In maintenance nothing checks it.
[[nodiscard]] ServerHealth health_at(const Standing& standing, const std::string& place);

/// What is wanted at an endpoint, one row per change; in the order in which nothing is without a
/// server: first what begins to serve, then maps, then what ends.
[[nodiscard]] std::vector<CutoverRow> changes_of(const Cutover& cutover,
                                                 const std::string& endpoint);

/// What stood before, for these endpoints, in the same order.
[[nodiscard]] std::vector<CutoverRow> changes_back(const std::vector<CutoverRow>& known,
                                                   const std::vector<std::string>& endpoints);

/// `server balanced_servers/s1 state`, `map /etc/haproxy/release.map active`.
[[nodiscard]] std::string what(const CutoverRow& row);

/// Has HAProxy put that value there. Errors: bad_name, bad_option, bad_number.
[[nodiscard]] Result<runtime_api::Command> command_of(const CutoverRow& row,
                                                      const std::string& value);

/// What stands there; nothing: there is no such server, map or key.
[[nodiscard]] std::optional<std::string> value_at(const Standing& standing, const CutoverRow& row);

}  // namespace stillgate::hold
