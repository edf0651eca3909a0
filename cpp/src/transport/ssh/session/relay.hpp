// A channel of a jump host's session as a file descriptor, for the session through it.
#pragma once

#include <memory>

#include "carrier.hpp"
#include "channel_handle.hpp"

namespace stillgate::transport::ssh {

[[nodiscard]] std::unique_ptr<Carrier> make_jump(boost::asio::io_context& io,
                                                 const std::weak_ptr<ChannelSource>& hub,
                                                 const Route& route, Timeouts timeouts);

}  // namespace stillgate::transport::ssh
