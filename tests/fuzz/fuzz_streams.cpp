// Fuzzes `show sess`: what is taken for a stream has a frontend, and no age below zero.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "runtime_api/streams.hpp"

using stillgate::Errc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto streams =
      stillgate::runtime_api::parse_streams({reinterpret_cast<const char*>(data), size});
  if (!streams) {
    REQUIRE(streams.error().code == Errc::malformed_reply);
    return 0;
  }
  for (const auto& stream : *streams) {
    REQUIRE(!stream.frontend.empty());
    REQUIRE(stream.frontend.find('\n') == std::string::npos);
    REQUIRE(!stream.age_s || *stream.age_s >= 0);
  }
  return 0;
}
