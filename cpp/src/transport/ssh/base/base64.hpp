// Base64, as SSH's files have it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stillgate::transport::ssh {

[[nodiscard]] std::string encode_base64(std::string_view bytes);

/// nullopt: no base64, or not all of its last group.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace stillgate::transport::ssh
