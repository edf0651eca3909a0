// What each error of the operating system is for an endpoint.
#include "transport/failure.hpp"

#include <cerrno>
#include <utility>

#include <gtest/gtest.h>

namespace stillgate::transport {
namespace {

TEST(Failure, EachErrnoHasItsCode) {
  const auto endpoint = *Endpoint::parse("tcp://127.0.0.1:1");
  const std::pair<int, Errc> known[] = {
      {ENOENT, Errc::no_such_socket},
      {ENOTDIR, Errc::no_such_socket},
      {EACCES, Errc::socket_denied},
      {EPERM, Errc::socket_denied},
      {ECONNREFUSED, Errc::connection_refused},
      {EMFILE, Errc::file_limit},
      {ENFILE, Errc::file_limit},
      {ETIMEDOUT, Errc::connect_timeout},
      {EHOSTUNREACH, Errc::unreachable},
      {ENETUNREACH, Errc::unreachable},
      {ECONNRESET, Errc::connection_reset},
      {EPIPE, Errc::connection_reset},
      {EIO, Errc::system_error},
  };
  for (const auto& [number, code] : known) {
    const Error error = failure_of(number, endpoint);
    EXPECT_EQ(error.code, code) << number;
    EXPECT_FALSE(error.message.empty());
  }
}

}  // namespace
}  // namespace stillgate::transport
