// The transport over unix and tcp stream sockets.
#pragma once

#include <memory>

#include "transport.hpp"

namespace stillgate::transport {

std::shared_ptr<Transport> make_unix_stream(Shared& shared, const Endpoint& endpoint,
                                            Listener& listener, Reading reading);
std::shared_ptr<Transport> make_tcp_stream(Shared& shared, const Endpoint& endpoint,
                                           Listener& listener, Reading reading);

}  // namespace stillgate::transport
