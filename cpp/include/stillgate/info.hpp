// `show info`, typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <stillgate/error.hpp>

namespace [[gnu::visibility("default")]] stillgate {

struct Info {
  std::vector<std::pair<std::string, std::string>> fields;  ///< all, in HAProxy's order
  std::string version;
  std::int64_t pid{0};
  std::int64_t uptime_s{0};
  std::string node;
  bool stopping{
      false};  ///< a reload or stop is in progress; false for 2.2 and older, which do not report it

  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;
};

/// Error: malformed_reply, if a line is not `Key: value`, or if Version, Pid or Uptime_sec is
/// missing.
Result<Info> parse_info(std::string_view text);
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
