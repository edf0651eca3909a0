// Fuzzes what a server sends first: the same lists are found in pieces of any size, or none.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "transport/ssh/base/kex_init.hpp"

namespace ssh = stillgate::transport::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ssh::KexInitReader whole;
  whole.feed(bytes);
  ssh::KexInitReader pieces;
  std::size_t piece = 1;
  for (std::string_view rest = bytes; !rest.empty(); piece = piece % 7 + 1) {
    const std::size_t now = std::min(piece, rest.size());
    pieces.feed(rest.substr(0, now));
    rest.remove_prefix(now);
  }
  REQUIRE(whole.found().has_value() == pieces.found().has_value());
  if (whole.found()) {
    REQUIRE(whole.found()->macs_to_client == pieces.found()->macs_to_client);
    REQUIRE(whole.found()->key_exchanges.size() < size);
  }
  const auto payload = ssh::parse_kex_init(bytes);
  REQUIRE(!payload || payload->compressions_to_client.size() < size);
  return 0;
}
