// Sending all of a text to a socket that may take it in pieces.
#pragma once

#include <string_view>

namespace stillgate::fleet {

/// False where nobody reads it any more.
[[nodiscard]] bool send_all(int to, std::string_view text);

}  // namespace stillgate::fleet
