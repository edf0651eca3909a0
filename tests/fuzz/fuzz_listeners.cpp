// Fuzzes what is read out of `show fd`, whose form is not fixed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "runtime_api/listeners.hpp"

namespace api = stillgate::runtime_api;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& listener : api::parse_listeners(text)) {
    REQUIRE(listener.frontend.size() <= size);
    REQUIRE(api::count_clients(text, listener.frontend) >= 0);
  }
  REQUIRE(api::count_clients(text, "balanced") <= static_cast<std::int64_t>(size));
  return 0;
}
