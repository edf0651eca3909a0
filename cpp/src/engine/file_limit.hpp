// How many connections this process may open.
#pragma once

#include <cstddef>

namespace stillgate::engine {

/// How many more file descriptors can be opened, without a reserve for the rest of the process.
/// Raises the soft limit up to the hard one if `wanted` needs it. At least 1.
[[nodiscard]] std::size_t connection_capacity(std::size_t wanted);

}  // namespace stillgate::engine
