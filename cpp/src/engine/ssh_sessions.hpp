// What outlives a session of the engine where endpoints are reached by SSH.
#pragma once

#include <memory>
#include <vector>

#include <stillgate/endpoint.hpp>

namespace stillgate::engine {

/// As long as somebody has it, logins stand from one call to the next; null where none of these
/// endpoints has an SSH server before it.
[[nodiscard]] std::shared_ptr<void> keep_ssh_sessions(const std::vector<Endpoint>& endpoints);

}  // namespace stillgate::engine
