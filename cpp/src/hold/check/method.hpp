// By which method a frontend is held: the gate where it is proven, or maxconn where that is safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <stillgate/report.hpp>

#include "hold/request.hpp"
#include "hold/survey/survey.hpp"

namespace stillgate::hold {

/// In Switch::method.
inline constexpr std::string_view by_gate = name(Method::gate);
inline constexpr std::string_view by_maxconn = name(Method::maxconn);

/// Why that frontend cannot be held by the gate; nothing where it can. `seen` is a survey with
/// proof.
[[nodiscard]] std::optional<Error> gate_obstacle(const HoldRequest& request, const Seen& seen,
                                                 std::size_t frontend);

/// What the counts say against that frontend's gate; nothing where they agree.
[[nodiscard]] std::optional<std::string> uncounted(const Seen& seen, std::size_t frontend);

/// Why that frontend's gate cannot hold for so long; nothing where it can.
[[nodiscard]] std::optional<std::string> too_long(const HoldRequest& request, const Seen& seen,
                                                  std::size_t frontend);

/// Sets the method, or returns why none will do. An auto hold that falls back on maxconn although a
/// gate is loaded gets a warning.
[[nodiscard]] std::optional<Error> choose_method(Switch& target, const HoldRequest& request,
                                                 const Seen& seen, std::size_t frontend);

}  // namespace stillgate::hold
