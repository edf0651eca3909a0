// Splits lines of an ssh_config by ssh's own two sets of rules.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stillgate::transport::ssh {

/// A line's keyword, in lower case, and what follows it without the white space around.
struct SplitLine {
  std::string keyword;
  std::string_view rest;
};

/// nullopt: an empty line or a comment.
[[nodiscard]] std::optional<SplitLine> split_line(std::string_view line);

/// The next word, and `text` moves past it: words end at white space and at one `=`, a quote
/// ends at the next one. nullopt: nothing is left, or a quote stays open.
[[nodiscard]] std::optional<std::string> next_word(std::string_view& text);

/// The arguments: both kinds of quotes, a backslash before a quote, a backslash or a space, and
/// `#` before a comment. nullopt: a quote stays open.
[[nodiscard]] std::optional<std::vector<std::string>> split_arguments(std::string_view rest);

}  // namespace stillgate::transport::ssh
