// What the operating system's errors mean for an endpoint.
#pragma once

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>

namespace stillgate::transport {

/// `number` is an errno of socket, connect, send or recv. The message includes what to do.
[[nodiscard]] Error failure_of(int number, const Endpoint& endpoint);

}  // namespace stillgate::transport
