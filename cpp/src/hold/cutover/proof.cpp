// Finding what is against a cutover.
#include "proof.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace stillgate::hold::proof {
namespace {

constexpr std::size_t most_named = 20;

/// Words, the first of them only where there are very many.
template <class Names>
std::string listed(const Names& names) {
  std::vector<std::string_view> shown;
  for (const auto& name : names) {
    if (shown.size() < most_named) shown.push_back(name);
  }
  if (shown.empty()) return "none";
  const std::size_t more = names.size() - shown.size();
  return fmt::format("{}{}", fmt::join(shown, ", "),
                     more == 0 ? "" : fmt::format(" and {} more", more));
}

template <class Map>
std::set<std::string> keys_of(const Map& map) {
  std::set<std::string> keys;
  for (const auto& [key, value] : map) keys.insert(key);
  return keys;
}

Error unknown(std::string message) { return {Errc::cutover_unknown, std::move(message)}; }

/// `lb2 has no server 's2' in 'balanced_servers'; it has: s1, s3`
Error unknown_server(const CutEndpoint& endpoint, const std::string& place) {
  const std::size_t slash = std::min(place.find('/'), place.size());
  const std::string backend = place.substr(0, slash);
  const auto found = endpoint.standing.backends.find(backend);
  if (found == endpoint.standing.backends.end()) {
    return unknown(fmt::format("{} has no backend '{}' with servers; it has: {}", endpoint.url,
                               backend, listed(keys_of(endpoint.standing.backends))));
  }
  return unknown(fmt::format("{} has no server '{}' in '{}'; it has: {}", endpoint.url,
                             place.substr(std::min(slash + 1, place.size())), backend,
                             listed(keys_of(found->second))));
}

Error unknown_in_map(const CutEndpoint& endpoint, const CutoverRow& row) {
  const auto map = endpoint.standing.maps.find(row.place);
  if (map == endpoint.standing.maps.end()) {
    return unknown(fmt::format("{} has no map '{}' loaded; it has: {}", endpoint.url, row.place,
                               listed(endpoint.standing.files)));
  }
  return unknown(fmt::format("{} has no key '{}' in the map '{}'; it has: {}", endpoint.url,
                             row.key, row.place, listed(keys_of(map->second))));
}

/// What stands there must be what could be written again.
std::optional<Error> irreversible(const CutEndpoint& endpoint, const ChangeAtEndpoint& change) {
  const auto undo = command_of(change.row, *change.now);
  if (undo) return std::nullopt;
  return Error{Errc::cutover_irreversible,
               fmt::format("{}, {}: the value there could not be written again ({}); "
                           "change it by hand first",
                           endpoint.url, what(change.row), undo.error().message)};
}

/// A server as it will be, without its health.
bool will_serve(const CutEndpoint& endpoint, const std::string& place,
                const runtime_api::ServerState& server) {
  std::string state = server.state;
  std::string weight = fmt::format("{}", server.weight);
  for (const ChangeAtEndpoint& change : endpoint.changes) {
    if (change.row.place != place) continue;
    if (change.row.kind == "state") state = change.row.after;
    if (change.row.kind == "weight") weight = change.row.after;
  }
  return state == "ready" && weight != "0" && !server.follows;
}

/// Those whose servers change, and those that a map is to name.
std::set<std::string> touched(const CutEndpoint& endpoint) {
  std::set<std::string> backends;
  for (const ChangeAtEndpoint& change : endpoint.changes) {
    const CutoverRow& row = change.row;
    backends.insert(row.kind == "map" ? row.after : row.place.substr(0, row.place.find('/')));
  }
  return backends;
}

/// The first problem of each kind, and how many there are.
class Refusals {
 public:
  explicit Refusals(Report& report) : report_(report) {
    report_.error.reset();
    report_.ending = Ending::done;
    report_.holds.clear();
  }

  /// A check that is still to come mends nothing.
  void make_final() { final_ = true; }
  [[nodiscard]] bool is_final() const { return final_; }

  void add(const Error& error) {
    if (!messages_.insert(error.message).second) return;
    if (!report_.error) {
      report_.error = error;
      report_.ending = Ending::refused;
      return;
    }
    report_.error->message += "; " + error.message;
  }

 private:
  Report& report_;
  std::set<std::string> messages_;
  bool final_{false};
};

/// Of one backend after the cutover.
struct Outlook {
  Up best{Up::no};
  std::vector<std::string> words{};  ///< of the servers that are to serve
};

/// `--ready-first` waits for each of them.
bool is_made_ready(const CutEndpoint& endpoint, const std::string& place) {
  return std::ranges::any_of(endpoint.changes, [&place](const ChangeAtEndpoint& change) {
    return change.row.place == place && makes_ready(change.row);
  });
}

/// `--ready-first` would bring it to drain, where a check shows whether it is up, or wait for the
/// check that is to come.
bool is_checked_first(const CutEndpoint& endpoint, const std::string& place) {
  const auto* server = server_at(endpoint.standing, place);
  if (server == nullptr || !is_made_ready(endpoint, place)) return false;
  if (server->state == "maint") return server->checked;
  return health_at(endpoint.standing, place).up == Up::soon;
}

/// Going back, it is enough that a server may be up: nothing has checked it since.
Outlook outlook_of(const CutEndpoint& endpoint, const std::string& name,
                   const CutoverRequest& request) {
  Outlook outlook;
  for (const auto& [server, state] : endpoint.standing.backends.at(name)) {
    const std::string place = fmt::format("{}/{}", name, server);
    if (!will_serve(endpoint, place, state)) continue;
    ServerHealth health = health_at(endpoint.standing, place);
    const bool is_unchecked = state.state == "maint" || health.up == Up::soon;
    if (request.back && is_unchecked) health.up = Up::unshown;
    if (request.ready_first && is_checked_first(endpoint, place)) health.up = Up::shown;
    outlook.best = std::max(outlook.best, health.up);
    outlook.words.push_back(fmt::format("{} {}", server, health.words));
  }
  return outlook;
}

void weigh_none_up(const CutEndpoint& endpoint, const CutoverRequest& request, Refusals& refusals,
                   Proof& proof) {
  for (const std::string& name : touched(endpoint)) {
    if (!endpoint.standing.backends.contains(name)) continue;
    const Outlook outlook = outlook_of(endpoint, name, request);
    if (outlook.best == Up::shown) continue;
    const std::string why = outlook.words.empty() ? "none is to be ready" : listed(outlook.words);
    if (outlook.best == Up::unshown) {
      proof.unshown.push_back(fmt::format("{}: nothing shows that a server of '{}' will be up: {}",
                                          endpoint.url, name, why));
      continue;
    }
    if (outlook.best == Up::soon) proof.awaits_check = true;
    refusals.add({Errc::cutover_none_up,
                  fmt::format("{}: the backend '{}' would have no server that is up ({})",
                              endpoint.url, name, why)});
    if (outlook.best != Up::soon) refusals.make_final();
  }
}

/// What `--ready-first` would have checked, and what it would wait for in vain as it is now.
void weigh_ready_first(const CutEndpoint& endpoint, Refusals& refusals, Proof& proof) {
  std::vector<std::string> first;
  for (const ChangeAtEndpoint& change : endpoint.changes) {
    if (!makes_ready(change.row)) continue;
    const std::string& place = change.row.place;
    const ServerHealth health = health_at(endpoint.standing, place);
    if (is_checked_first(endpoint, place)) {
      first.push_back(place);
    } else if (health.up == Up::no) {
      refusals.add({Errc::cutover_not_ready,
                    fmt::format("{}: {} {}; --ready-first would wait for it, and refuse unless it "
                                "comes up in time",
                                endpoint.url, place, health.words)});
      refusals.make_final();
    }
  }
  if (first.empty()) return;
  proof.unshown.push_back(
      fmt::format("{}: would be checked first, in drain, and must each be up then: {}",
                  endpoint.url, listed(first)));
}

void weigh_endpoint(CutEndpoint& endpoint, Refusals& refusals) {
  if (endpoint.error) {
    refusals.add(*endpoint.error);
    return;
  }
  const Seen& seen = endpoint.standing.seen;
  if (seen.info->stopping) {
    refusals.add({Errc::haproxy_stopping,
                  fmt::format("{} is stopping (a reload or a stop is under way); wait until that "
                              "is done",
                              endpoint.url)});
  }
  if (seen.level && *seen.level != "admin") {
    refusals.add({Errc::permission_denied,
                  fmt::format("{}: the socket's level is '{}', and a cutover needs admin; set "
                              "'level admin' on its 'stats socket' line",
                              endpoint.url, *seen.level),
                  seen.level});
  }
  for (ChangeAtEndpoint& change : endpoint.changes) {
    change.error.reset();
    if (change.now) {
      change.error = irreversible(endpoint, change);
    } else {
      change.error = change.row.kind == "map" ? unknown_in_map(endpoint, change.row)
                                              : unknown_server(endpoint, change.row.place);
    }
    if (change.error) refusals.add(*change.error);
  }
}

bool all_known(const CutEndpoint& endpoint) {
  return !endpoint.error && std::ranges::all_of(endpoint.changes, [](const auto& change) {
    return change.now.has_value();
  });
}

bool stands(const CutEndpoint& endpoint) {
  return std::ranges::all_of(endpoint.changes, [](const ChangeAtEndpoint& change) {
    return change.now == change.row.after;
  });
}

/// Behind a hold only its holder changes anything, and only while it holds. Where all stands
/// already, nothing is changed.
void weigh_hold(const CutEndpoint& endpoint, const CutoverRequest& request, Report& report,
                Refusals& refusals, WallTime now) {
  if (endpoint.error || stands(endpoint)) return;
  for (std::size_t i = 0; i < request.frontends.size(); ++i) {
    const std::string& frontend = request.frontends[i];
    const Seen& seen = endpoint.standing.seen;
    const bool held = seen.gate_holds(i) || seen.limit(i) == 0;
    const Record* record =
        held ? record_of(seen, i, endpoint.url, frontend, request.records) : nullptr;
    if (record == nullptr) {
      refusals.add({Errc::not_held, fmt::format("{}: '{}' is not held, so nothing was changed; use "
                                                "'stillgate cutover' without a hold",
                                                endpoint.url, frontend)});
      continue;
    }
    auto foreign = not_the_holder(*record, request.claim, request.records, now);
    if (!foreign) continue;
    refusals.add(*foreign);
    report.ending = Ending::held_by_other;
    add_hold(report, *record);
  }
}

}  // namespace

void refuse_unknown(CutRows& rows, Report& report) {
  Refusals refusals(report);
  for (CutEndpoint& endpoint : rows) weigh_endpoint(endpoint, refusals);
}

Proof refuse(CutRows& rows, const CutoverRequest& request, Report& report, WallTime now) {
  Proof proof;
  Refusals refusals(report);
  for (CutEndpoint& endpoint : rows) weigh_endpoint(endpoint, refusals);
  for (const CutEndpoint& endpoint : rows) weigh_hold(endpoint, request, report, refusals, now);
  if (report.error) refusals.make_final();
  for (const CutEndpoint& endpoint : rows) {
    if (!all_known(endpoint)) continue;
    if (request.ready_first) weigh_ready_first(endpoint, refusals, proof);
    weigh_none_up(endpoint, request, refusals, proof);
  }
  if (refusals.is_final()) proof.awaits_check = false;
  return proof;
}

}  // namespace stillgate::hold::proof
