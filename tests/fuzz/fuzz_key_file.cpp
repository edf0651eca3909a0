// Fuzzes private keys and their public halves: never a crash, and a seed has the size of one.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "transport/ssh/login/key_file.hpp"

namespace ssh = stillgate::transport::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto key = ssh::inspect_key(text);
  REQUIRE(key.public_blob.size() <= size);
  REQUIRE(!key.seed || (!key.encrypted && key.seed->view().size() == 32));
  REQUIRE(ssh::public_blob_of(text).size() <= size);
  return 0;
}
