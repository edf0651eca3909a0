// What SSH keeps beyond a session of the engine: logins, and the secrets typed for them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/endpoint.hpp>

namespace stillgate::engine {

/// While the result lives, logins are kept from one call to the next. Null if no endpoint is
/// reached over SSH.
[[nodiscard]] std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints);

/// Passphrases and passwords that were typed in this process, for a process without a terminal.
/// Both are thread-safe. The caller wipes the text.
[[nodiscard]] std::string export_secrets();
void import_secrets(std::string_view secrets);

}  // namespace stillgate::engine
