// errno to our codes, with what to do about each.
#include "failure.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <sys/stat.h>

namespace stillgate::transport {
namespace {

Error make(Errc code, std::string message) { return {code, std::move(message)}; }

/// connect() answers ECONNREFUSED for a plain file too.
bool is_socket(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

Error refused(const Endpoint& endpoint) {
  switch (endpoint.kind()) {
    case Endpoint::Kind::tcp:
      return make(Errc::connection_refused,
                  "nothing listens on that port; is HAProxy running, with a 'stats socket' there?");
    case Endpoint::Kind::unix_socket:
    case Endpoint::Kind::ssh:  // has failures of its own: see ssh/base/failure.hpp
      break;
  }
  if (!is_socket(endpoint.path())) {
    return make(Errc::not_a_socket, "the path exists, but is not a socket");
  }
  return make(Errc::connection_refused, "nothing listens on that socket; is HAProxy running?");
}

}  // namespace

Error failure_of(int number, const Endpoint& endpoint) {
  switch (number) {
    case ECONNREFUSED:
      return refused(endpoint);
    case ENOENT:
    case ENOTDIR:
      return make(Errc::no_such_socket,
                  "the path does not exist; is HAProxy running, and is this its 'stats socket'?");
    case EACCES:
    case EPERM:
      return make(Errc::socket_denied,
                  "permission denied: this user needs write permission on the socket (usually "
                  "membership in the haproxy group)");
    case EMFILE:
    case ENFILE:
      return make(Errc::file_limit,
                  "too many open files; raise the limit (ulimit -n) or name fewer endpoints");
    case ETIMEDOUT:
      return make(Errc::connect_timeout, "the host did not answer the connection in time");
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
      return make(Errc::unreachable,
                  "the host is unreachable: " + std::system_category().message(number));
    case ECONNRESET:
    case EPIPE:
      return make(Errc::connection_reset,
                  "the peer reset the connection; it is unknown whether a command ran");
    default:
      return make(Errc::system_error, std::system_category().message(number));
  }
}

}  // namespace stillgate::transport
