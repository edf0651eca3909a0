// The inner process of a leash: the command's parent, which keeps its deadline.
#pragma once

#include "shared.hpp"

namespace stillgate::leash {

/// Until the command and all that it started have ended, or Stillgate wants none any more.
void run_inner(const Shared& shared, char* const* arguments);

}  // namespace stillgate::leash
