// Parsing `show table`.
#include "tracked.hpp"

#include <algorithm>
#include <optional>

#include "model/numbers.hpp"

namespace stillgate::runtime_api {
namespace {

/// What stands behind `key=` in a line, up to the next space.
std::string_view value_of(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + key.size());
  return line.substr(0, line.find(' '));
}

}  // namespace

Result<Tracked> parse_tracked(std::string_view text) {
  const Error malformed{Errc::malformed_reply, "show table: a line is no entry with a conn_cur"};
  Tracked tracked;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const std::string_view key = value_of(line, " key=");
    const auto count = parse_number<std::int64_t>(value_of(line, " conn_cur="));
    if (!line.starts_with("0x") || key.empty() || !count || *count < 0) return malformed;
    tracked[std::string(key)] = *count;
  }
  return tracked;
}

}  // namespace stillgate::runtime_api
