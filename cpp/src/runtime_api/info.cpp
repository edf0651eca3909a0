// Parsing `show info`.
#include <stillgate/info.hpp>

#include <fmt/format.h>

#include "model/numbers.hpp"

namespace stillgate {
namespace {

Error malformed(std::string_view why) {
  return {Errc::malformed_reply, fmt::format("show info: {}", why)};
}

}  // namespace

std::optional<std::string_view> Info::find(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return value;
  }
  return std::nullopt;
}

Result<Info> parse_info(std::string_view text) {
  Info info;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return malformed("a line has no key");
    std::string_view value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    const std::string_view key = line.substr(0, colon);
    // Which of two would be true?
    if (info.find(key)) return malformed(fmt::format("'{}' is there twice", key));
    info.fields.emplace_back(key, value);
  }
  const auto number = [&info](std::string_view key) -> std::optional<std::int64_t> {
    const auto value = info.find(key);
    return value ? runtime_api::parse_number<std::int64_t>(*value) : std::nullopt;
  };
  const auto version = info.find("Version");
  const auto pid = number("Pid");
  const auto uptime = number("Uptime_sec");
  if (!version || version->empty()) return malformed("no Version");
  if (!pid) return malformed("no Pid");
  if (!uptime) return malformed("no Uptime_sec");
  info.version = *version;
  info.pid = *pid;
  info.uptime_s = *uptime;
  info.node = info.find("node").value_or("");
  info.stopping = number("Stopping").value_or(0) != 0;
  return info;
}

}  // namespace stillgate
