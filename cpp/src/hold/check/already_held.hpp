// Why a frontend that is held or stopped already cannot be held.
#pragma once

#include <optional>
#include <string_view>

#include <stillgate/report.hpp>

#include "hold/survey/survey.hpp"

namespace stillgate::hold {

/// Why a hold stands in the way there, by a hold of ours or by somebody's hand; `target` is told
/// its id. `record`: what record_of() gives.
[[nodiscard]] std::optional<Error> held_already(Switch& target, const Seen& seen,
                                                std::size_t frontend, const Record* record);

/// A frontend that refuses its clients is no held one.
[[nodiscard]] Error stopped(std::string_view frontend);

}  // namespace stillgate::hold
