// Commands of the runtime API: checked when they are made, framed when they are sent.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace stillgate::runtime_api {

/// A command that HAProxy reads as one line, perhaps with a payload, whatever text it was made of.
/// Only the checked functions below make one.
class Command {
 public:
  /// The longest command with its payload, in bytes. HAProxy reads it into one buffer
  /// (tune.bufsize, 16,384 by default); above it 2.6.12 hangs silently
  /// (docs/haproxy-facts.md, section 3).
  static constexpr std::size_t max_bytes = 16'000;

  /// The largest maxconn that Stillgate sets; larger ones wrap inside HAProxy
  /// (docs/haproxy-facts.md, section 2).
  static constexpr std::int64_t max_limit = 2'147'483'647;

  /// A command that a person typed. Errors: bad_command, for anything that HAProxy would not
  /// read as exactly one command: line feeds, an unescaped `;`, `prompt`, `quit`, an open `<<`.
  static Result<Command> parse(std::string_view text,
                               const std::optional<std::string>& payload = {});

  static Command show_info();
  static Command show_proxies();  ///< `show stat`, the rows of frontends and backends
  static Command show_servers();  ///< as show_proxies, and the rows of servers
  /// `show stat`, the row of one frontend. Errors: bad_name.
  static Result<Command> show_frontend(std::string_view name);
  static Command show_streams();  ///< `show sess`: all of HAProxy's CPU for 60 ms per 8,000 streams
  /// `show table`: what is tracked now in a table with `store conn_cur`. Errors: bad_name.
  static Result<Command> show_tracked(std::string_view table);
  /// One of them, and its end. Errors: bad_name, if `pointer` is not as `show sess` gives it.
  static Result<Command> show_stream(std::string_view pointer);
  static Result<Command> shut_stream(std::string_view pointer);
  static Command wait(std::chrono::milliseconds time);  ///< 3.0 and later
  static Command show_descriptors();                    ///< `show fd`: as dear as show_streams
  static Command show_cli_level();
  /// From 2.4 on process variables may be set only after it, on the same connection.
  static Command allow_experiments();
  /// Process variables, 2.4 and later. `name` is without `proc.`.
  /// Errors: bad_name; bad_command for a value of anything but letters, digits, '-', '_' and '.',
  /// or too long for one line.
  static Result<Command> get_variable(std::string_view name);
  static Result<Command> set_variable(std::string_view name, std::string_view value);
  /// Compare and set, 2.6 and later: leaves a variable that was ever set unchanged, and does not
  /// report that. Errors: as set_variable.
  static Result<Command> set_variable_once(std::string_view name, std::string_view value);
  /// As set_variable or set_variable_once, and only where the value of the variable `where` is, up
  /// to its first dot, that of `mine`: HAProxy itself compares, between two commands of others.
  /// 2.6 and later. Errors: as set_variable.
  static Result<Command> set_variable_where(std::string_view name, std::string_view value,
                                            std::string_view where, std::string_view mine,
                                            bool once);
  /// The gate's own commands (docs/gate.md). Errors: bad_name.
  static Result<Command> gate_sync(std::string_view frontend);
  /// With more names than HAProxy takes on one line it asks for all frontends.
  static Result<Command> gate_status(const std::vector<std::string>& frontends);
  static Result<Command> gate_proofs(const std::vector<std::string>& frontends);
  static Result<Command> gate_held(const std::vector<std::string>& frontends);
  /// Takes the lock on a hold by the gate for `ms`, if it is free; then frees it. The answer is the
  /// frontend's status. Errors: as set_variable.
  static Result<Command> gate_lock(std::string_view frontend, std::string_view id, std::int64_t ms,
                                   std::string_view record);
  static Result<Command> gate_unlock(std::string_view frontend, std::string_view id);
  /// The gate's switch below 2.4: an entry of the stick table `stillgate`. Errors: as set_variable.
  static Result<Command> set_gate_entry(std::string_view frontend, std::string_view token,
                                        std::int64_t number);
  /// Errors: bad_name, bad_number (limit outside 0 to max_limit).
  static Result<Command> set_maxconn(std::string_view frontend, std::int64_t limit);

  static Command show_server_states();  ///< `show servers state` of all backends
  static Command show_maps();           ///< which are loaded
  /// Its entries. Errors: bad_name.
  static Result<Command> show_map(std::string_view file);
  /// `server` is `BACKEND/SERVER`. Errors: bad_name, bad_option (no such state), bad_number.
  static Result<Command> set_server_state(std::string_view server, std::string_view state);
  /// Its check's health becomes 0: it is up again when `rise` checks have passed. Not for one that
  /// has no check. Errors: bad_name.
  static Result<Command> set_server_down(std::string_view server);
  static Result<Command> set_server_weight(std::string_view server, std::int64_t weight);
  /// Errors: bad_name, if one of them cannot be written as it is.
  static Result<Command> set_map(std::string_view file, std::string_view key,
                                 std::string_view value);

  /// What goes over the wire, its line feeds included.
  [[nodiscard]] const std::string& wire() const noexcept { return wire_; }
  /// The first line, for people and logs.
  [[nodiscard]] std::string_view text() const noexcept;

 private:
  static Result<Command> assign(std::string_view name, std::string_view condition,
                                std::string_view value);
  static Result<Command> for_stream(std::string_view words, std::string_view pointer);
  static Result<Command> for_frontends(std::string_view words,
                                       const std::vector<std::string>& frontends);
  explicit Command(std::string wire) : wire_(std::move(wire)) {}
  std::string wire_;
};

/// Letters, digits, `-`, `_`, `.`, `:`: what HAProxy accepts as a proxy's name.
/// The error is bad_name with `field` "frontend"; empty where the name is fine.
[[nodiscard]] std::optional<Error> check_frontend_name(std::string_view name);

}  // namespace stillgate::runtime_api
