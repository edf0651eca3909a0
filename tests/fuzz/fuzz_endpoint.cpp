// Fuzzes endpoint URLs: the canonical form parses to itself and carries nothing smuggled in.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <stillgate/endpoint.hpp>

#include "require.hpp"

using stillgate::Endpoint;
using stillgate::Errc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto endpoint = Endpoint::parse({reinterpret_cast<const char*>(data), size});
  if (!endpoint) {
    REQUIRE(endpoint.error().code == Errc::bad_endpoint);
    REQUIRE(endpoint.error().field == "endpoint");
    REQUIRE(endpoint.error().message.size() < 500);
    return 0;
  }
  const auto again = Endpoint::parse(endpoint->url());
  REQUIRE(again && *again == *endpoint);
  REQUIRE(again->kind() == endpoint->kind());
  REQUIRE(again->host() == endpoint->host() && again->port() == endpoint->port());
  REQUIRE(again->path() == endpoint->path());
  REQUIRE(std::none_of(endpoint->url().begin(), endpoint->url().end(),
                       [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }));
  if (endpoint->kind() == Endpoint::Kind::unix_socket) {
    REQUIRE(endpoint->path().starts_with('/') && endpoint->path().size() <= Endpoint::max_path);
  } else if (endpoint->kind() == Endpoint::Kind::ssh) {
    REQUIRE(again->server() == endpoint->server() && again->access() == endpoint->access());
    REQUIRE(!endpoint->server().host.empty());
    REQUIRE(endpoint->path().empty() != endpoint->access().tcp_host.empty());
  } else {
    REQUIRE(endpoint->port() > 0 && !endpoint->host().empty());
  }
  return 0;
}
