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
  std::string pointer;                 ///< as `show sess` and `shutdown session` take it: `0x7f...`
  std::string source;                  ///< `127.0.0.1:4444`, or a path
  std::string frontend;                ///< `GLOBAL` for a connection to a stats socket
  std::optional<std::string> backend;  ///< empty while it has none
  std::optional<std::string> server;   ///< empty while it has none, as in a queue
  std::optional<std::int64_t> age_s;   ///< whole seconds
  /// Until HAProxy ends it for want of input; empty while no such timer runs. Its two largest
  /// units, so up to an hour too small.
  std::optional<std::int64_t> left_s{};
  bool in_rules{false};  ///< its head has been read, and its rules are not through
};

/// What `show sess 0x...` says of one, as far as it is used.
struct StreamDetails {
  std::string frontend;
  std::string number;         ///< no other stream of the process ever has it
  std::int64_t timeout_s{0};  ///< how long its client may say nothing
};

/// Error: malformed_reply, if a line is not a stream.
Result<std::vector<Stream>> parse_streams(std::string_view text);

/// Error: malformed_reply, if one of these is missing.
Result<StreamDetails> parse_stream_details(std::string_view text);

}  // namespace stillgate::runtime_api
