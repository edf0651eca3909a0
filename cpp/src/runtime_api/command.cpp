// Checks and framing of runtime API commands.
#include "command.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace stillgate::runtime_api {
namespace {

constexpr std::size_t longest_name = 255;
constexpr std::size_t max_variable = 1000;
// HAProxy reads 64 words of a line and drops the rest silently. Names of 255 bytes fit, too.
constexpr std::size_t most_words = 50;

Error bad_command(std::string_view why) {
  return {Errc::bad_command, fmt::format("command: {}", why), {}, {}, "command"};
}

Error bad_payload(std::string_view why) {
  return {Errc::bad_command, fmt::format("payload: {}", why), {}, {}, "payload"};
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::optional<Error> check_variable_name(std::string_view name) {
  const bool fine = !name.empty() && name.size() <= max_variable &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) { return is_letter_or_digit(c) || c == '_'; });
  if (fine) return std::nullopt;
  return Error{
      Errc::bad_name, "variable: a name may have letters, digits and '_' only", {}, {}, "variable"};
}

std::optional<Error> check_value(std::string_view value) {
  // A bare comma or parenthesis would end the value inside HAProxy
  // (docs/haproxy-facts.md, section 3).
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
  });
  if (plain) return std::nullopt;
  return bad_command("a value may have letters, digits, '-', '_' and '.' only");
}

/// Without what would not be printed as it is.
std::string shown(std::string_view text) {
  std::string clean;
  for (const char c : text.substr(0, 60)) clean += c > 0x20 && c < 0x7f ? c : '?';
  return clean;
}

std::optional<Error> unwritable(std::string_view what, std::string_view text) {
  return Error{Errc::bad_name,
               fmt::format("{} '{}': must be visible ASCII without ';', '\\', quotes and '<<'",
                           what, shown(text)),
               {},
               {},
               "maps"};
}

/// A map's file, key or value: one word of HAProxy's line, and read back as it was written.
std::optional<Error> check_word(std::string_view text, std::string_view what) {
  const bool fine = !text.empty() && text.find("<<") == std::string_view::npos &&
                    std::ranges::all_of(text, [](char c) {
                      return c > 0x20 && c < 0x7f && c != ';' && c != '\\' && c != '"' && c != '\'';
                    });
  return fine ? std::nullopt : unwritable(what, text);
}

constexpr std::int64_t largest_weight = 256;

/// `BACKEND/SERVER`.
std::optional<Error> check_server_name(std::string_view name) {
  const std::size_t slash = name.find('/');
  const bool fine = slash != std::string_view::npos &&
                    !check_frontend_name(name.substr(0, slash)) &&
                    !check_frontend_name(name.substr(slash + 1));
  if (fine) return std::nullopt;
  return Error{
      Errc::bad_name,
      fmt::format("server '{}': must be BACKEND/SERVER, each of letters, digits, '-', '_', "
                  "'.', ':'",
                  shown(name)),
      {},
      {},
      "servers"};
}

Error too_long() { return bad_command("a value is too long for one line"); }

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(" \t"));
}

/// Control characters would end the line, or the string inside HAProxy.
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

bool has_bare_semicolon(std::string_view text) {
  bool escaped = false;
  for (const char c : text) {
    if (c == ';' && !escaped) return true;
    escaped = c == '\\' && !escaped;
  }
  return false;
}

/// Words that change the connection's framing, so that replies could not be separated. `@1 ...`
/// addresses a worker through a master socket, whose prompt differs.
std::optional<Error> check_first_word(std::string_view word) {
  static constexpr std::array<std::string_view, 4> framing{"prompt", "quit", "q", "_getsocks"};
  if (std::find(framing.begin(), framing.end(), word) != framing.end()) {
    return bad_command(
        fmt::format("'{}' changes the connection itself; Stillgate does that", word));
  }
  // HAProxy removes it before it searches the command: `pro\mpt` runs `prompt`.
  if (word.find('\\') != std::string_view::npos) {
    return bad_command("the first word contains a backslash; no command does");
  }
  if (word.starts_with('@')) {
    return bad_command("'@' addresses a master socket; name the worker's stats socket instead");
  }
  return std::nullopt;
}

std::optional<Error> check_payload(std::string_view payload) {
  if (payload.empty()) return bad_payload("is empty");
  if (payload.find('\0') != std::string_view::npos) return bad_payload("contains a NUL byte");
  if (payload.find('\r') != std::string_view::npos) {
    return bad_payload("contains a carriage return; HAProxy takes line feeds only");
  }
  if (payload.starts_with('\n') || payload.find("\n\n") != std::string_view::npos) {
    return bad_payload("contains an empty line, which ends it for HAProxy");
  }
  return std::nullopt;
}

}  // namespace

Result<Command> Command::parse(std::string_view text, const std::optional<std::string>& payload) {
  const std::string_view line = trim(text);
  if (line.empty()) return bad_command("is empty");
  if (has_control(line)) return bad_command("contains a line feed or another control character");
  if (has_bare_semicolon(line)) {
    return bad_command("';' starts a second command; send one at a time, or escape it as '\\;'");
  }
  if (line.ends_with('\\')) return bad_command("ends in a backslash, which escapes the line's end");
  if (const auto error = check_first_word(first_word(line))) return *error;
  if (line.find("<<") != std::string_view::npos) {
    return bad_command("'<<' opens a payload; give the payload separately and leave '<<' out");
  }
  std::string wire;
  if (payload) {
    if (const auto error = check_payload(*payload)) return *error;
    const bool closed = payload->ends_with('\n');
    wire = fmt::format("{} <<\n{}{}\n", line, *payload, closed ? "" : "\n");
  } else {
    wire = fmt::format("{}\n", line);
  }
  if (wire.size() > max_bytes) {
    return bad_command(fmt::format("has {} bytes with its payload; HAProxy reads at most {}",
                                   wire.size(), max_bytes));
  }
  return Command(std::move(wire));
}

Command Command::show_info() { return Command("show info\n"); }

// -1: every proxy; a sum of 1 for frontends, 2 for backends, 4 for servers; -1: every server id.
Command Command::show_proxies() { return Command("show stat -1 3 -1\n"); }

Command Command::show_servers() { return Command("show stat -1 7 -1\n"); }

Result<Command> Command::show_frontend(std::string_view name) {
  if (auto error = check_frontend_name(name)) return *std::move(error);
  return Command(fmt::format("show stat {} 1 -1\n", name));
}

Command Command::show_streams() { return Command("show sess\n"); }

Result<Command> Command::show_tracked(std::string_view table) {
  if (auto error = check_frontend_name(table)) return *std::move(error);
  return Command(fmt::format("show table {} data.conn_cur gt 0\n", table));
}

Result<Command> Command::show_stream(std::string_view pointer) {
  return for_stream("show sess", pointer);
}

Result<Command> Command::shut_stream(std::string_view pointer) {
  return for_stream("shutdown session", pointer);
}

Result<Command> Command::for_stream(std::string_view words, std::string_view pointer) {
  const bool fine = pointer.starts_with("0x") && pointer.size() > 2 && pointer.size() <= 18 &&
                    pointer.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
  if (!fine) return Error{Errc::bad_name, "stream: not an address like 0x7f0012345678"};
  return Command(fmt::format("{} {}\n", words, pointer));
}

Command Command::wait(std::chrono::milliseconds time) {
  return Command(fmt::format("wait {}ms\n", time.count()));
}

Command Command::show_descriptors() { return Command("show fd\n"); }

Command Command::allow_experiments() { return Command("experimental-mode on\n"); }

Result<Command> Command::get_variable(std::string_view name) {
  if (auto error = check_variable_name(name)) return *std::move(error);
  return Command(fmt::format("get var proc.{}\n", name));
}

Result<Command> Command::set_variable(std::string_view name, std::string_view value) {
  return assign(name, "", value);
}

Result<Command> Command::set_variable_once(std::string_view name, std::string_view value) {
  return assign(name, ",ifnotset", value);
}

Result<Command> Command::set_variable_where(std::string_view name, std::string_view value,
                                            std::string_view where, std::string_view mine,
                                            bool once) {
  for (const std::string_view one : {name, where, mine}) {
    if (auto error = check_variable_name(one)) return *std::move(error);
  }
  if (auto error = check_value(value)) return *std::move(error);
  // strcmp compares with a variable alone, and an empty text is not set.
  std::string wire = fmt::format(
      "set var proc.{}{},ifnotempty var(proc.{}),field(1,.),strcmp(proc.{}),not,iif({},)\n", name,
      once ? ",ifnotset" : "", where, mine, value);
  if (wire.size() > max_bytes) return too_long();
  return Command(std::move(wire));
}

Result<Command> Command::assign(std::string_view name, std::string_view condition,
                                std::string_view value) {
  if (auto error = check_variable_name(name)) return *std::move(error);
  if (auto error = check_value(value)) return *std::move(error);
  std::string wire = fmt::format("set var proc.{}{} str({})\n", name, condition, value);
  if (wire.size() > max_bytes) return too_long();
  return Command(std::move(wire));
}

Result<Command> Command::gate_sync(std::string_view frontend) {
  if (auto error = check_frontend_name(frontend)) return *std::move(error);
  return Command(fmt::format("stillgate sync {}\n", frontend));
}

Result<Command> Command::gate_status(const std::vector<std::string>& frontends) {
  return for_frontends("stillgate status", frontends);
}

Result<Command> Command::gate_proofs(const std::vector<std::string>& frontends) {
  return for_frontends("stillgate prove", frontends);
}

Result<Command> Command::gate_held(const std::vector<std::string>& frontends) {
  return for_frontends("stillgate held", frontends);
}

Result<Command> Command::gate_lock(std::string_view frontend, std::string_view id, std::int64_t ms,
                                   std::string_view record) {
  if (auto error = check_frontend_name(frontend)) return *std::move(error);
  if (auto error = check_value(id)) return *std::move(error);
  if (auto error = check_value(record)) return *std::move(error);
  std::string wire = fmt::format("stillgate lock {} {} {} {}\n", frontend, id, ms, record);
  if (wire.size() > max_bytes) return too_long();
  return Command(std::move(wire));
}

Result<Command> Command::gate_unlock(std::string_view frontend, std::string_view id) {
  if (auto error = check_frontend_name(frontend)) return *std::move(error);
  if (auto error = check_value(id)) return *std::move(error);
  return Command(fmt::format("stillgate unlock {} {}\n", frontend, id));
}

Result<Command> Command::for_frontends(std::string_view words,
                                       const std::vector<std::string>& frontends) {
  std::string wire(words);
  for (const std::string& name : frontends) {
    if (auto error = check_frontend_name(name)) return *std::move(error);
    wire += ' ' + name;
  }
  if (frontends.size() > most_words) wire = words;
  return Command(wire + '\n');
}

Result<Command> Command::set_gate_entry(std::string_view frontend, std::string_view token,
                                        std::int64_t number) {
  if (auto error = check_frontend_name(frontend)) return *std::move(error);
  if (auto error = check_value(token)) return *std::move(error);
  std::string wire =
      fmt::format("set table stillgate key {}/{} data.gpt0 {}\n", frontend, token, number);
  if (wire.size() > max_bytes) return too_long();
  return Command(std::move(wire));
}

Command Command::show_cli_level() { return Command("show cli level\n"); }

Result<Command> Command::set_maxconn(std::string_view frontend, std::int64_t limit) {
  if (auto error = check_frontend_name(frontend)) return *std::move(error);
  if (limit < 0 || limit > max_limit) {
    return Error{Errc::bad_number,
                 fmt::format("limit: {} is not from 0 to {}", limit, max_limit),
                 {},
                 {},
                 "limit"};
  }
  return Command(fmt::format("set maxconn frontend {} {}\n", frontend, limit));
}

Command Command::show_server_states() { return Command("show servers state\n"); }

Command Command::show_maps() { return Command("show map\n"); }

Result<Command> Command::show_map(std::string_view file) {
  if (auto error = check_word(file, "map")) return *std::move(error);
  return Command(fmt::format("show map {}\n", file));
}

Result<Command> Command::set_server_state(std::string_view server, std::string_view state) {
  if (auto error = check_server_name(server)) return *std::move(error);
  if (state != "ready" && state != "drain" && state != "maint") {
    return Error{Errc::bad_option,
                 fmt::format("server '{}': the state must be ready, drain or maint", server),
                 {},
                 {},
                 "servers"};
  }
  return Command(fmt::format("set server {} state {}\n", server, state));
}

Result<Command> Command::set_server_down(std::string_view server) {
  if (auto error = check_server_name(server)) return *std::move(error);
  return Command(fmt::format("set server {} health down\n", server));
}

Result<Command> Command::set_server_weight(std::string_view server, std::int64_t weight) {
  if (auto error = check_server_name(server)) return *std::move(error);
  if (weight < 0 || weight > largest_weight) {
    return Error{
        Errc::bad_number,
        fmt::format("server '{}': the weight must be from 0 to {}", server, largest_weight),
        {},
        {},
        "weights"};
  }
  return Command(fmt::format("set server {} weight {}\n", server, weight));
}

Result<Command> Command::set_map(std::string_view file, std::string_view key,
                                 std::string_view value) {
  if (auto error = check_word(file, "map")) return *std::move(error);
  if (auto error = check_word(key, "key")) return *std::move(error);
  std::string escaped;
  for (const char c : value) {
    if (c == ' ') escaped += '\\';
    escaped += c;
  }
  // A blank at an end is lost where HAProxy reads its files.
  const bool ends_blank = value.starts_with(' ') || value.ends_with(' ');
  std::string solid(value);
  std::erase(solid, ' ');
  if (auto error = ends_blank ? unwritable("value", value) : check_word(solid, "value")) {
    return *std::move(error);
  }
  std::string wire = fmt::format("set map {} {} {}\n", file, key, escaped);
  if (wire.size() > max_bytes) return too_long();
  return Command(std::move(wire));
}

std::string_view Command::text() const noexcept {
  return std::string_view(wire_).substr(0, wire_.find('\n'));
}

std::optional<Error> check_frontend_name(std::string_view name) {
  const auto fine = [](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.' || c == ':';
  };
  if (name.empty()) return Error{Errc::bad_name, "frontend: the name is empty", {}, {}, "frontend"};
  if (name.size() > longest_name || !std::all_of(name.begin(), name.end(), fine)) {
    std::string shown;
    for (const char c : name.substr(0, 60)) shown += fine(c) ? c : '?';
    return Error{
        Errc::bad_name,
        fmt::format("frontend '{}': a name has at most {} letters, digits, '-', '_', '.', ':'",
                    shown, longest_name),
        {},
        {},
        "frontend"};
  }
  return std::nullopt;
}

}  // namespace stillgate::runtime_api
