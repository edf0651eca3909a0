// Numbers out of text: the whole text, decimal, in range, or nothing.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

namespace stillgate::runtime_api {

/// HAProxy takes `abc` for 0 and `12abc` for 12 (docs/haproxy-facts.md, section 2); nothing here
/// may do that.
template <std::integral T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) noexcept {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (text.empty() || failure != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// Hexadecimal digits only, of either case.
[[nodiscard]] inline std::optional<unsigned> parse_hexadecimal(std::string_view text) noexcept {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value, 16);
  if (text.empty() || failure != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace stillgate::runtime_api
