// Rows: what a plan decides on is one row per endpoint, which has one row per switch.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime_api/batch.hpp"
#include "runtime_api/command.hpp"

namespace stillgate::hold {

template <class Endpoints, class Test>
[[nodiscard]] bool any_switch(const Endpoints& endpoints, const Test& test) {
  return std::ranges::any_of(endpoints, [&test](const auto& endpoint) {
    return std::ranges::any_of(endpoint.switches, test);
  });
}

inline void append(std::vector<runtime_api::Command>& list,
                   const std::vector<runtime_api::Command>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

/// Somebody is asked something.
[[nodiscard]] inline bool asks(const runtime_api::Batch& batch) {
  return std::ranges::any_of(batch.work, [](const auto& commands) { return !commands.empty(); });
}

}  // namespace stillgate::hold
