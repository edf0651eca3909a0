// Bytes of other programs as text.
#pragma once

#include <string>
#include <string_view>

namespace stillgate {

/// In UTF-8: each byte that belongs to no character becomes U+FFFD.
[[nodiscard]] std::string utf8(std::string_view bytes);

}  // namespace stillgate
