// `show sess`, typed: the streams that HAProxy works on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace stillgate::runtime_api {

struct Stream {
  std::string source;                  ///< `127.0.0.1:4444`, or a path
  std::string frontend;                ///< `GLOBAL` for a connection to a stats socket
  std::optional<std::string> backend;  ///< empty while it has none
  std::optional<std::string> server;   ///< empty while it has none, as in a queue
  std::optional<std::int64_t> age_s;   ///< whole seconds
};

/// Error: malformed_reply, if a line is not a stream.
Result<std::vector<Stream>> parse_streams(std::string_view text);

}  // namespace stillgate::runtime_api
