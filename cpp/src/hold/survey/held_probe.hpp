// After which time HAProxy itself ends a held request: asked where a release may do that.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "runtime_api/batch.hpp"
#include "survey.hpp"

namespace stillgate::hold {

/// A probe waits as a held request does, and HAProxy lists which timer runs on it. Nothing where no
/// gate is, and where HAProxy's release ends no complete request.
[[nodiscard]] std::vector<runtime_api::Command> held_probe_commands(
    const std::vector<std::string>& frontends, const Seen& seen);

/// What cannot be read stays unknown.
void read_held_probe(Seen& seen, const runtime_api::Answer& answer,
                     const std::vector<std::string>& frontends);

/// Why a request cannot be held for so long there, or why the probe did not tell. Nothing if it
/// can, or where there is no probe to tell.
[[nodiscard]] std::optional<Error> cut_too_soon(const Seen& seen, std::size_t frontend,
                                                std::chrono::milliseconds longest);

}  // namespace stillgate::hold
