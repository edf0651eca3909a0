// Short names of endpoints, as people read them in tables, messages and events.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stillgate {

struct Nameable {
  std::string_view url;
  std::string_view given;  ///< by the operator; empty: none
  std::string_view node;   ///< as its HAProxy calls itself; empty: unknown
};

/// One name for each: the given one, else the node if no other has it, else the shortest part of
/// the URL that only one of them has.
[[nodiscard]] std::vector<std::string> short_names(const std::vector<Nameable>& endpoints);

}  // namespace stillgate
