// Fuzzes `show table`: what is taken for an entry has a key, and no count below zero.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "runtime_api/tracked.hpp"

using stillgate::Errc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto tracked =
      stillgate::runtime_api::parse_tracked({reinterpret_cast<const char*>(data), size});
  if (!tracked) {
    REQUIRE(tracked.error().code == Errc::malformed_reply);
    return 0;
  }
  for (const auto& [key, count] : *tracked) {
    REQUIRE(!key.empty() && key.find('\n') == std::string::npos);
    REQUIRE(count >= 0);
  }
  return 0;
}
