// Fuzzes `show servers state`, `show map` and the record of a cutover: what is read has its names,
// and a record that is read comes back as it was.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hold/record/cutover_record.hpp"
#include "require.hpp"
#include "runtime_api/servers.hpp"

namespace api = stillgate::runtime_api;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto backends = api::parse_server_states(text)) {
    for (const auto& [backend, servers] : *backends) REQUIRE(!backend.empty() && !servers.empty());
  }
  for (const auto& file : api::parse_maps(text)) REQUIRE(file.find('\n') == std::string::npos);
  if (const auto entries = api::parse_map(text)) {
    for (const auto& [key, value] : *entries) REQUIRE(key.find(' ') == std::string::npos);
  }
  if (const auto record = stillgate::hold::decode_cutover(text)) {
    REQUIRE(stillgate::hold::decode_cutover(encode(*record)) == record);
  }
  return 0;
}
