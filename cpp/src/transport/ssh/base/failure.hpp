// libssh2's errors as our codes, with what to do about each.
#pragma once

#include <string>
#include <string_view>

#include <libssh2.h>

#include <stillgate/error.hpp>

namespace stillgate::transport::ssh {

/// libssh2's message for the session's last error.
[[nodiscard]] std::string last_error_text(LIBSSH2_SESSION* session);

/// An error of that server. `detail` is the server's or libssh2's message, shown in parentheses.
[[nodiscard]] Error failure(Errc code, std::string_view server, std::string_view text,
                            std::string detail = {});

/// Whether this, or nothing, ahead of its version is what sshd says to a login that it drops, and
/// that may succeed later. OpenSSH 9.8 and later say the same at MaxStartups and at a penalty.
[[nodiscard]] bool drops_a_login(std::string_view said);

/// A handshake that failed. `has_banner`: the server's SSH banner had arrived.
[[nodiscard]] Error handshake_failure(bool has_banner, std::string_view server, std::string detail);

/// `number` is an errno of connecting to the server, or of the connection to it.
[[nodiscard]] Error connection_failure(int number, std::string_view server);

/// A server that forbids to reach that socket through it: a unix socket's path, or `host:port`.
[[nodiscard]] Error forbidden(std::string_view server, std::string_view socket, std::string detail);

/// A connection that ended while it was in use.
[[nodiscard]] Error lost(std::string_view server, std::string detail);

}  // namespace stillgate::transport::ssh
