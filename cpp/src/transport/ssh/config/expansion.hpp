// Expands what an ssh_config's values may contain: `~`, tokens such as `%h`, `${NAME}`.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

#include "directive.hpp"
#include "settings.hpp"

namespace stillgate::transport::ssh {

/// The value of each token; tokens that the keyword does not allow are not in it. `%%` always is.
using Tokens = std::map<char, std::string>;

/// `~` and `~/...`. Error: ssh_config, for another user's home folder.
[[nodiscard]] Result<std::string> expand_home(std::string_view text, const LocalContext& local,
                                              const Place& place);

/// Error: ssh_config, for a token that is not allowed there.
[[nodiscard]] Result<std::string> expand_tokens(std::string_view text, const Tokens& tokens,
                                                const Place& place);

/// Tokens and variables. Error: ssh_config, also for a variable that is not set.
[[nodiscard]] Result<std::string> expand_text(std::string_view text, const Tokens& tokens,
                                              const LocalContext& local, const Place& place);

/// All three. Error: ssh_config, also for a variable that is not set.
[[nodiscard]] Result<std::string> expand_path(std::string_view text, const Tokens& tokens,
                                              const LocalContext& local, const Place& place);

}  // namespace stillgate::transport::ssh
