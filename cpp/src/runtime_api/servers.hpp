// The answers to `show servers state`, `show map` and `show map FILE`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace stillgate::runtime_api {

struct ServerState {
  std::string state;       ///< as `set server` has set it: `ready`, `drain` or `maint`
  std::int64_t weight{0};  ///< as `set server` or the configuration has set it
  bool follows{false};     ///< another server or its name's resolution keeps it from serving
  bool running{false};     ///< by its checks; one in maintenance is not
  bool checked{false};     ///< by a check of its own, which rests in maintenance
};

/// Backends, and their servers by name. Backends without servers are not told.
using Backends = std::map<std::string, std::map<std::string, ServerState>>;

/// Errors: malformed_reply.
[[nodiscard]] Result<Backends> parse_server_states(std::string_view text);

/// The files of all maps that are loaded.
[[nodiscard]] std::vector<std::string> parse_maps(std::string_view text);

/// Keys and values, as the map has them. Where a key is there twice, the first.
[[nodiscard]] Result<std::map<std::string, std::string>> parse_map(std::string_view text);

}  // namespace stillgate::runtime_api
