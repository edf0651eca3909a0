// Parsing of what HAProxy reports of its servers and maps.
#include "servers.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "model/numbers.hpp"

namespace stillgate::runtime_api {
namespace {

// Bits of srv_admin_state. What the configuration says (4) is told beside what is in force.
constexpr std::int64_t forced_maint = 0x01;
constexpr std::int64_t forced_drain = 0x08;
constexpr std::int64_t inherited = 0x02 | 0x10 | 0x20;
// Bit of srv_check_state.
constexpr std::int64_t check_enabled = 0x04;

Error malformed(std::string_view why) {
  return {Errc::malformed_reply, fmt::format("show servers state: {}", why)};
}

/// Takes one line off the front.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    if (!word.empty()) words.push_back(word);
    line.remove_prefix(std::min(line.size(), word.size() + 1));
  }
  return words;
}

/// Where the columns are that are read.
struct Columns {
  std::size_t backend, server, running, admin, weight, check, least;
};

std::optional<Columns> find_columns(std::string_view header) {
  if (!header.starts_with("# ")) return std::nullopt;
  const auto names = words_of(header.substr(2));
  const auto at = [&names](std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
  };
  Columns columns{at("be_name"),
                  at("srv_name"),
                  at("srv_op_state"),
                  at("srv_admin_state"),
                  at("srv_uweight"),
                  at("srv_check_state"),
                  0};
  columns.least = 1 + std::max({columns.backend, columns.server, columns.running, columns.admin,
                                columns.weight, columns.check});
  if (columns.least > names.size()) return std::nullopt;
  return columns;
}

}  // namespace

Result<Backends> parse_server_states(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  if (take_line(text) != "1") return malformed("another version than 1");
  const auto columns = find_columns(take_line(text));
  if (!columns) return malformed("a column is missing");
  Backends backends;
  while (!text.empty()) {
    const auto words = words_of(take_line(text));
    if (words.empty()) continue;
    if (words.size() < columns->least) return malformed("a line is too short");
    const auto running = parse_number<std::int64_t>(words[columns->running]);
    const auto admin = parse_number<std::int64_t>(words[columns->admin]);
    const auto weight = parse_number<std::int64_t>(words[columns->weight]);
    const auto check = parse_number<std::int64_t>(words[columns->check]);
    if (!running || !admin || !weight || !check) return malformed("a state is not a number");
    ServerState server;
    server.state = "ready";
    if ((*admin & forced_drain) != 0) server.state = "drain";
    if ((*admin & forced_maint) != 0) server.state = "maint";
    server.weight = *weight;
    server.follows = (*admin & inherited) != 0;
    server.running = *running != 0;
    server.checked = (*check & check_enabled) != 0;
    backends[std::string(words[columns->backend])].emplace(words[columns->server], server);
  }
  return backends;
}

std::vector<std::string> parse_maps(std::string_view text) {
  std::vector<std::string> files;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    // `0 (/etc/haproxy/release.map) pattern loaded from file ...`
    const std::size_t open = line.find(" (");
    const std::size_t close = line.find(") ", open);
    if (line.starts_with('#') || close == std::string_view::npos) continue;
    files.emplace_back(line.substr(open + 2, close - open - 2));
  }
  return files;
}

Result<std::map<std::string, std::string>> parse_map(std::string_view text) {
  std::map<std::string, std::string> entries;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    // `0x55d8859eec90 KEY VALUE`
    const std::size_t key = line.find(' ');
    if (!line.starts_with("0x") || key == std::string_view::npos) {
      return Error{Errc::malformed_reply, "show map: a line is no entry"};
    }
    const std::string_view entry = line.substr(key + 1);
    const std::size_t value = std::min(entry.find(' '), entry.size());
    entries.emplace(entry.substr(0, value), entry.substr(std::min(value + 1, entry.size())));
  }
  return entries;
}

}  // namespace stillgate::runtime_api
