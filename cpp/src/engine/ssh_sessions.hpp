// What outlives a session of the engine where endpoints are reached by SSH.
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

/// See transport::typed_secrets().
[[nodiscard]] std::string typed_secrets();
void take_typed_secrets(std::string_view word);

}  // namespace stillgate::engine
