// Checks a caller's input, before anything is sent.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>
#include <stillgate/fleet.hpp>

namespace stillgate::fleet {

/// `FIELD: MESSAGE`, of an option or argument.
[[nodiscard]] Error input(Errc code, std::string_view field, std::string message);

/// What is wrong, with the field's name.
[[nodiscard]] std::optional<Error> check_options(const FleetOptions& options);
[[nodiscard]] std::optional<Error> check_frontends(const std::vector<std::string>& frontends);
[[nodiscard]] std::optional<Error> check_suspend(const SuspendOptions& options);
[[nodiscard]] std::optional<Error> check_resume(const ResumeOptions& options);
/// With `back` only its name counts.
[[nodiscard]] std::optional<Error> check_cutover(const Cutover& cutover, bool back);
[[nodiscard]] std::optional<Error> check_cutover(const CutoverOptions& options);
[[nodiscard]] std::optional<Error> check_extend(const ExtendOptions& options);

}  // namespace stillgate::fleet
