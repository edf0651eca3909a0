// Error codes, the error value that every part hands upwards, and Result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace stillgate {

/// One code per way in which something can go wrong. The name in `name()` is part of the JSON
/// interface and never changes; docs/errors.md says for each what it means and what to do next.
enum class Errc {
  // Wrong input. Nothing was sent anywhere.
  bad_endpoint,        ///< an endpoint URL that cannot be parsed, or a scheme that is not supported
  duplicate_endpoint,  ///< the same endpoint twice in one fleet
  empty_fleet,         ///< a fleet without endpoints
  bad_command,         ///< a command that cannot be sent safely as one line
  bad_name,            ///< a frontend's or variable's name that HAProxy could not have
  bad_number,          ///< a number outside its range, or no number at all
  bad_option,          ///< an option of ours outside its range

  // Connecting.
  no_such_socket,      ///< the path of a unix socket does not exist
  not_a_socket,        ///< the path exists and is no socket
  socket_denied,       ///< the operating system refuses to open the socket (file permissions)
  connection_refused,  ///< nobody listens there
  backlog_full,        ///< the listen queue stayed full (EAGAIN) until the deadline
  unreachable,         ///< no route to the host, or the network is down
  name_not_found,      ///< the host name does not resolve
  connect_timeout,     ///< no connection, or no address, before the deadline
  file_limit,          ///< this process may open no more files
  system_error,        ///< any other error of the operating system

  // Talking.
  no_greeting,       ///< accepted by the kernel, but HAProxy did not answer the prompt in time
  stats_maxconn,     ///< as no_greeting, and the same HAProxy answers others: `stats maxconn`
  write_timeout,     ///< the command could not be written in time
  reply_timeout,     ///< no complete reply in time
  connection_reset,  ///< the peer reset the connection
  early_eof,         ///< the peer closed before the reply was complete
  reply_too_large,   ///< the reply exceeded the cap
  not_haproxy,       ///< what answered does not speak HAProxy's runtime API
  master_socket,     ///< a master CLI socket; a worker's stats socket is needed
  malformed_reply,   ///< a reply that is complete and cannot be understood
  cancelled,         ///< the caller stopped the work

  // SSH.
  ssh_config,             ///< an ssh_config file that cannot be understood
  ssh_proxy,              ///< a ProxyCommand that could not be run, or ended
  ssh_banner,             ///< no SSH server answered in time, or it closed at once (MaxStartups)
  ssh_key_exchange,       ///< no common algorithm, or the exchange broke off or took too long
  ssh_host_key_unknown,   ///< no known_hosts file has that host
  ssh_host_key_changed,   ///< it is known by another key
  ssh_host_key_revoked,   ///< known_hosts or RevokedHostKeys calls that key revoked
  ssh_key_unusable,       ///< a key that cannot be read, decrypted, or used by this libssh2
  ssh_auth_failed,        ///< the server took none of the keys, or not the password
  ssh_auth_timeout,       ///< no end of the authentication in time
  ssh_forwarding_denied,  ///< the server forbids forwarding to that socket
  ssh_channel_failed,     ///< the server opens no channel, for another reason
  ssh_channel_timeout,    ///< no answer to the opening of a channel in time

  // HAProxy said no.
  permission_denied,  ///< the socket's level does not allow the command
  no_such_frontend,   ///< HAProxy has no frontend of that name
  unknown_command,    ///< this HAProxy does not know the command
  command_failed,     ///< any other refusal, in HAProxy's own words

  // Holding.
  gate_missing,      ///< no gate is loaded there, and one was asked for
  gate_unproven,     ///< nothing shows that the frontend's requests come through the gate
  gate_failed,       ///< the gate did not do what it was switched to
  crash_hazard,      ///< this release crashes when a held frontend is resumed
  same_haproxy,      ///< two endpoints lead to one HAProxy
  already_held,      ///< a hold of Stillgate's is in effect on that frontend
  not_the_holder,    ///< somebody else's hold, before its deadline
  frontend_stopped,  ///< that frontend takes no connections: disabled, or shut down
  not_held,          ///< there is no hold whose deadline could be moved
  limit_is_zero,     ///< the limit is 0 already, and no record says what it was before
  guard_failed,      ///< the process that is to end a hold by maxconn could not be started, or died
  deadline_passed,   ///< the hold's deadline came before the suspend was done
  fleet_too_large,   ///< a hold needs all connections open at once, and the file limit forbids it
  limit_mismatch,    ///< the limit that was read back is not the one that was set
  haproxy_restarted,  ///< another process answers than before
  haproxy_stopping,   ///< an old worker of a reload, or an HAProxy that is being stopped
  journal_failed,     ///< the record of the hold could not be written or read
  drain_timeout,      ///< what was let in before the hold was still being served
  application_down,   ///< `--wait-up`: no server was up in time, and the hold goes on
  rolled_back,        ///< this switch is well, but was released because another one failed
};

/// The stable name of a code, such as "permission_denied".
[[nodiscard]] std::string_view name(Errc code) noexcept;

/// All codes, in the order of the enumeration. For documentation and for tests.
[[nodiscard]] const std::vector<Errc>& all_errors();

/// What went wrong, in our words and, apart from them, in HAProxy's.
struct Error {
  Errc code{};
  std::string message;                   ///< ours: what happened and what to do next
  std::optional<std::string> haproxy{};  ///< HAProxy's own words, where it said something
  std::optional<std::string> partial{};  ///< what of a reply had arrived when it broke off
  std::string field{};                   ///< for wrong input: which field of it

  bool operator==(const Error&) const = default;
};

/// A value or the Error that stands in its place. Never throws; check before you take.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(*-explicit-*)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(*-explicit-*)

  [[nodiscard]] explicit operator bool() const noexcept { return state_.index() == 0; }
  [[nodiscard]] T& operator*() & { return std::get<0>(state_); }
  [[nodiscard]] const T& operator*() const& { return std::get<0>(state_); }
  [[nodiscard]] T&& operator*() && { return std::get<0>(std::move(state_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(state_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace stillgate
