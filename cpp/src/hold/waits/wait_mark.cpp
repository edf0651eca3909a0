// Making a mark out of a hold's id.
#include "wait_mark.hpp"

#include <cstdint>

namespace stillgate::hold {

namespace {

constexpr std::uint32_t days = 22;
constexpr std::uint32_t seconds = 59;
constexpr std::uint32_t minutes = 59;
constexpr std::uint32_t hours = 23;

/// FNV-1a: the same on every machine, and in every release.
std::uint32_t hash(std::string_view text) noexcept {
  std::uint32_t value = 2'166'136'261U;
  for (const char c : text) {
    value ^= static_cast<unsigned char>(c);
    value *= 16'777'619U;
  }
  return value;
}

}  // namespace

std::chrono::seconds wait_mark(std::string_view hold_id) noexcept {
  std::uint32_t number = hash(hold_id);
  const std::chrono::hours whole{24 * (1 + number % days)};
  number = number / days % (seconds + minutes + hours);
  if (number < seconds) return whole + std::chrono::seconds(1 + number);
  number -= seconds;
  if (number < minutes) return whole + std::chrono::minutes(1 + number);
  return whole + std::chrono::hours(1 + number - minutes);
}

}  // namespace stillgate::hold
