// What libssh2's errors mean, in our codes and with what to do about each.
#pragma once

#include <string>
#include <string_view>

#include <libssh2.h>

#include <stillgate/error.hpp>

namespace stillgate::transport::ssh {

/// libssh2's words for what went wrong last in that session.
[[nodiscard]] std::string last_error_text(LIBSSH2_SESSION* session);

/// An error of that server; `said` is the server's or libssh2's words, which stand apart from ours.
[[nodiscard]] Error failure(Errc code, std::string_view server, std::string_view text,
                            std::string detail = {});

/// The handshake's end before its time. `spoke`: the server's banner had come.
[[nodiscard]] Error handshake_failure(int code, bool has_banner, std::string_view server,
                                      std::string detail);

/// `number` is an errno of connecting to the server, or of the connection to it.
[[nodiscard]] Error connection_failure(int number, std::string_view server);

/// A server that forbids to reach that socket through it: a unix socket's path, or `host:port`.
[[nodiscard]] Error forbidden(std::string_view server, std::string_view socket, std::string detail);

/// A connection that ended while it was in use.
[[nodiscard]] Error lost(std::string_view server, std::string detail);

}  // namespace stillgate::transport::ssh
