// A cutover: what serves after a hold, as server states, weights and entries of maps.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace [[gnu::visibility("default")]] stillgate {

/// One of a name, with all that it changes. Servers are `BACKEND/SERVER`, maps are named as HAProxy
/// names them: by their file.
struct Cutover {
  std::string name;
  std::map<std::string, std::string> servers;   ///< to `ready`, `drain` or `maint`
  std::map<std::string, std::int64_t> weights;  ///< 0 to 256
  std::map<std::string, std::map<std::string, std::string>> maps;  ///< file, key, value

  [[nodiscard]] bool empty() const { return servers.empty() && weights.empty() && maps.empty(); }

  template <class Self, class Visit>
  static void each(Self& self, const Visit& visit) {
    visit("name", self.name);
    visit("servers", self.servers);
    visit("weights", self.weights);
    visit("maps", self.maps);
  }
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
