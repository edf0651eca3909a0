// What of SSH outlives a session of the engine: logins, and what was typed for them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/endpoint.hpp>

namespace stillgate::engine {

/// As long as somebody has it, logins stand from one call to the next; null where none of these
/// endpoints has an SSH server before it.
[[nodiscard]] std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints);

/// Passphrases and passwords that were typed in this process, for one that has no terminal; both
/// thread-safe. The text is the caller's to wipe.
[[nodiscard]] std::string typed_secrets();
void know_secrets(std::string_view told);

}  // namespace stillgate::engine
