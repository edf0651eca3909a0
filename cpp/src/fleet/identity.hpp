// Who holds, and an id that no other hold has.
#pragma once

#include <string>

namespace stillgate::fleet {

/// `user@host`.
[[nodiscard]] std::string default_owner();

/// 16 hexadecimal digits from the system's random source.
[[nodiscard]] std::string new_id();

}  // namespace stillgate::fleet
