// `show table`, as far as it tells how many streams are tracked under which key.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

namespace stillgate::runtime_api {

using Tracked = std::map<std::string, std::int64_t>;

/// Of a table with `store conn_cur`. Error: malformed_reply.
[[nodiscard]] Result<Tracked> parse_tracked(std::string_view text);

}  // namespace stillgate::runtime_api
