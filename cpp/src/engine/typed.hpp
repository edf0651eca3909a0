// What was typed on the terminal, for those who have none and may not know the transports.
#pragma once

#include <string>
#include <string_view>

#include "../transport/transport.hpp"

namespace stillgate::engine {

[[nodiscard]] inline std::string typed_secrets() { return transport::typed_secrets(); }
inline void know_secrets(std::string_view told) { transport::know_secrets(told); }

}  // namespace stillgate::engine
