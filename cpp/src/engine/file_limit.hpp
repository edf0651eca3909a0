// How many connections this process may open.
#pragma once

#include <cstddef>

namespace stillgate::engine {

/// The number of further file descriptors that can be opened, a reserve for the rest of the
/// process left out. Raises the soft limit to the hard one where `wanted` needs it. At least 1.
[[nodiscard]] std::size_t connection_capacity(std::size_t wanted);

}  // namespace stillgate::engine
