// Words of a line of known_hosts or authorized_keys, as ssh separates them.
#pragma once

#include <algorithm>
#include <string_view>

namespace stillgate::transport::ssh {

/// Blanks at a line's front. A carriage return is not a blank there.
inline void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

/// The next word. `text` moves past it and the blanks after it.
inline std::string_view take_word(std::string_view& text) {
  constexpr std::string_view separators = " \t\r";
  const std::string_view word = text.substr(0, text.find_first_of(separators));
  text.remove_prefix(word.size());
  text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
  return word;
}

}  // namespace stillgate::transport::ssh
