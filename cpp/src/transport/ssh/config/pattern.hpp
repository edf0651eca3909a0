// OpenSSH's patterns: `*` for any text, `?` for any character, `!` to exclude.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stillgate::transport::ssh {

enum class Case { exact, ignored };

/// Takes at most the product of both lengths, however many stars there are.
[[nodiscard]] bool matches(std::string_view text, std::string_view pattern, Case letters);

/// A list with commas, as in known_hosts and after a Match criterion: one pattern must match, and
/// none after a `!`.
[[nodiscard]] bool matches_list(std::string_view text, std::string_view list, Case letters);

/// The arguments of a Host line, in which a comma means nothing.
[[nodiscard]] bool matches_any(std::string_view text, const std::vector<std::string>& patterns,
                               Case letters);

[[nodiscard]] std::string lower(std::string_view text);

}  // namespace stillgate::transport::ssh
