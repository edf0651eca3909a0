// From a cutover to its rows, and from a row to its command and what stands there.
#include "cutover_rows.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "model/numbers.hpp"

namespace stillgate::hold {

using runtime_api::Command;

namespace {

constexpr const char* of_state = "state";
constexpr const char* of_weight = "weight";
constexpr const char* of_map = "map";

/// What begins to serve comes first, what ends last.
int turn(const CutoverRow& row) {
  if (row.kind == of_map) return 2;
  if (row.kind == of_weight) return row.after == "0" ? 3 : 1;
  return row.after == "ready" ? 0 : 3;
}

}  // namespace

CutRows rows_of(const CutoverRequest& request) {
  CutRows rows;
  for (const std::string& url : request.endpoints) {
    CutEndpoint endpoint{url, {}, {}, {}, {}};
    for (const CutoverRow& wanted : request.changes) {
      if (wanted.endpoint != url) continue;
      endpoint.changes.push_back({wanted});
      const bool is_new = std::ranges::find(endpoint.files, wanted.place) == endpoint.files.end();
      if (wanted.kind == of_map && is_new) endpoint.files.push_back(wanted.place);
    }
    rows.push_back(std::move(endpoint));
  }
  return rows;
}

bool makes_ready(const CutoverRow& row) { return row.kind == of_state && row.after == "ready"; }

const runtime_api::ServerState* server_at(const Standing& standing, const std::string& place) {
  const std::size_t slash = place.find('/');
  const auto backend = standing.backends.find(place.substr(0, slash));
  if (backend == standing.backends.end() || slash == std::string::npos) return nullptr;
  const auto server = backend->second.find(place.substr(slash + 1));
  return server == backend->second.end() ? nullptr : &server->second;
}

ServerHealth health_at(const Standing& standing, const std::string& place) {
  const auto* server = server_at(standing, place);
  if (server == nullptr) return {};
  if (server->state == "maint") {
    ServerHealth health;
    health.words = server->checked ? "is in maint, where nothing checks it; bring it to drain "
                                     "first, or use --ready-first"
                                   : "has no health check";
    if (!server->checked) health.up = Up::unshown;
    return health;
  }
  const auto health = standing.healths.find(place);
  if (health != standing.healths.end()) return health->second;
  return {server->running ? Up::unshown : Up::no, false, false,
          server->running ? "is not told by show stat" : "is down"};
}

std::vector<CutoverRow> changes_of(const Cutover& cutover, const std::string& endpoint) {
  std::vector<CutoverRow> rows;
  for (const auto& [server, state] : cutover.servers) {
    rows.push_back({endpoint, of_state, server, "", "", state});
  }
  for (const auto& [server, weight] : cutover.weights) {
    rows.push_back({endpoint, of_weight, server, "", "", fmt::format("{}", weight)});
  }
  for (const auto& [file, entries] : cutover.maps) {
    for (const auto& [key, value] : entries) {
      rows.push_back({endpoint, of_map, file, key, "", value});
    }
  }
  std::ranges::stable_sort(rows, {}, turn);
  return rows;
}

std::vector<CutoverRow> changes_back(const std::vector<CutoverRow>& known,
                                     const std::vector<std::string>& endpoints) {
  std::vector<CutoverRow> rows;
  for (const CutoverRow& row : known) {
    if (std::ranges::find(endpoints, row.endpoint) == endpoints.end()) continue;
    rows.push_back(row);
    rows.back().after = row.before;
  }
  std::ranges::stable_sort(rows, {}, turn);
  return rows;
}

std::string what(const CutoverRow& row) {
  if (row.kind == of_map) return fmt::format("map {} {}", row.place, row.key);
  return fmt::format("server {} {}", row.place, row.kind);
}

Result<Command> command_of(const CutoverRow& row, const std::string& value) {
  if (row.kind == of_map) return Command::set_map(row.place, row.key, value);
  if (row.kind == of_state) return Command::set_server_state(row.place, value);
  return Command::set_server_weight(row.place,
                                    runtime_api::parse_number<std::int64_t>(value).value_or(-1));
}

std::optional<std::string> value_at(const Standing& standing, const CutoverRow& row) {
  if (row.kind == of_map) {
    const auto map = standing.maps.find(row.place);
    if (map == standing.maps.end()) return std::nullopt;
    const auto entry = map->second.find(row.key);
    return entry == map->second.end() ? std::nullopt : std::optional(entry->second);
  }
  const auto* server = server_at(standing, row.place);
  if (server == nullptr) return std::nullopt;
  return row.kind == of_state ? server->state : fmt::format("{}", server->weight);
}

}  // namespace stillgate::hold
