// Which bytes are a character.
#include "utf8.hpp"

namespace stillgate {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

/// How many bytes the character at the front has; 0 where there is none (Unicode, table 3-7).
std::size_t length_of_first(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool beyond = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);
  return overlong || beyond ? 0 : length;
}

}  // namespace

std::string utf8(std::string_view bytes) {
  std::string out;
  std::size_t whole = 0;  // so many bytes at the front are characters
  while (whole < bytes.size()) {
    const std::size_t length = length_of_first(bytes.substr(whole));
    whole += length;
    if (length > 0) continue;
    out += bytes.substr(0, whole);
    out += replacement;
    bytes.remove_prefix(whole + 1);
    whole = 0;
  }
  return out += bytes;
}

}  // namespace stillgate
