// What to say of a frontend that an HAProxy does not have.
#pragma once

#include <string_view>

#include <stillgate/error.hpp>

#include "survey.hpp"

namespace stillgate::hold {

/// no_such_frontend: with what there is, and what was probably meant.
[[nodiscard]] Error unknown_frontend(const Seen& seen, std::string_view name);

}  // namespace stillgate::hold
