// Error messages about SSH servers.
#include "failure.hpp"

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace stillgate::transport::ssh {

namespace {

constexpr std::string_view not_allowed = "Not allowed at this time";

bool has(std::string_view said, std::string_view words) {
  return said.find(words) != std::string_view::npos;
}

}  // namespace

bool drops_a_login(std::string_view said) {
  return said.empty() || has(said, "MaxStartups") || has(said, not_allowed);
}

std::string last_error_text(LIBSSH2_SESSION* session) {
  char* words = nullptr;
  int size = 0;
  libssh2_session_last_error(session, &words, &size, 0);
  return words == nullptr ? std::string() : std::string(words, static_cast<std::size_t>(size));
}

Error failure(Errc code, std::string_view server, std::string_view text, std::string detail) {
  std::string message = fmt::format("ssh to {}: {}", server, text);
  if (!detail.empty()) message += fmt::format(" ({})", detail);
  return {code, std::move(message)};
}

Error handshake_failure(bool has_banner, std::string_view server, std::string detail) {
  if (!has_banner && has(detail, not_allowed)) {
    return failure(Errc::ssh_banner, server,
                   "the server drops logins from here: its MaxStartups is used up, or its "
                   "PerSourcePenalties keep this address out for failed logins; its log says "
                   "which, and PerSourcePenaltyExemptList excepts an address",
                   std::move(detail));
  }
  if (!has_banner) {
    return failure(Errc::ssh_banner, server,
                   "the connection was closed before an SSH server spoke; is sshd running there, "
                   "and is its MaxStartups large enough?",
                   std::move(detail));
  }
  return failure(Errc::ssh_key_exchange, server, "the key exchange broke off", std::move(detail));
}

Error connection_failure(int number, std::string_view server) {
  switch (number) {
    case ECONNREFUSED:
      // Not connection_refused: that is HAProxy's own socket, and to a guard a hold that is gone.
      return failure(Errc::unreachable, server, "nothing listens on that port; is sshd running?");
    case ETIMEDOUT:
      return failure(Errc::connect_timeout, server, "the host did not answer");
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
      return failure(Errc::unreachable, server,
                     "the host is unreachable: " + std::system_category().message(number));
    case EMFILE:
    case ENFILE:
      return failure(Errc::file_limit, server,
                     "too many open files; raise the limit (ulimit -n) or name fewer endpoints");
    case ECONNRESET:
    case EPIPE:
      return lost(server, {});
    default:
      return failure(Errc::system_error, server, std::system_category().message(number));
  }
}

Error forbidden(std::string_view server, std::string_view socket, std::string detail) {
  const bool unix_socket = socket.starts_with('/');
  return failure(
      Errc::ssh_forwarding_denied, server,
      fmt::format("the server forbids forwarding to {}: it needs {}, and no 'restrict' or "
                  "'no-port-forwarding' at the key in authorized_keys{}",
                  socket,
                  unix_socket
                      ? "AllowStreamLocalForwarding yes (or local), AllowTcpForwarding yes (or "
                        "local) and no PermitOpen (the last two count for unix sockets, too)"
                      : "AllowTcpForwarding yes (or local) and a PermitOpen that allows it",
                  // SSH does not distinguish these where a process listens on the socket.
                  unix_socket ? "; or the socket's listen queue is full, because HAProxy hangs or "
                                "its 'stats maxconn' is used up"
                              : ""),
      std::move(detail));
}

Error lost(std::string_view server, std::string detail) {
  return failure(Errc::connection_reset, server,
                 "the connection ended; it is unknown whether a command ran", std::move(detail));
}

}  // namespace stillgate::transport::ssh
