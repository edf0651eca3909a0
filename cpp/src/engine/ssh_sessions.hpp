// What is kept beyond a session of the engine: SSH's logins, the secrets typed for them, threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/endpoint.hpp>

#include "loop.hpp"

namespace stillgate::engine {

/// While the result lives, logins are kept from one call to the next. Null if no endpoint is
/// reached over SSH.
[[nodiscard]] std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints);

/// Starts what threads the loop's connections to these endpoints may need later, also over TCP.
/// They stay as long as the loop and the result. std::system_error where one is not to be had.
[[nodiscard]] std::shared_ptr<void> start_threads(Loop& loop,
                                                  const std::vector<Endpoint>& endpoints);

/// Passphrases and passwords that were typed in this process, for a process without a terminal.
/// Both are thread-safe. The caller wipes the text.
[[nodiscard]] std::string export_secrets();
void import_secrets(std::string_view secrets);

}  // namespace stillgate::engine
