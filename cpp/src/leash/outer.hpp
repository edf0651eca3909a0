// The outer process of a leash: it ends the command where the inner one cannot, because somebody
// has killed or stopped it.
#pragma once

#include <sys/types.h>

#include "family.hpp"
#include "shared.hpp"

namespace stillgate::leash {

/// Until the inner process has ended.
void run_outer(const Shared& shared, Family& family, pid_t inner);

}  // namespace stillgate::leash
