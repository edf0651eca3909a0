// Fuzzes the table of a server's unix sockets, which comes by SFTP: as long as it likes, in any
// form.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "require.hpp"
#include "transport/ssh/session/unix_table.hpp"

namespace ssh = stillgate::transport::ssh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view path = "/run/haproxy/admin.sock";
  const bool listens = ssh::is_listening(text, path);
  const std::string line = "\n0: 00000002 00000000 00010000 0001 01 7 " + std::string(path) + "\n";
  REQUIRE(ssh::is_listening(text + line, path));
  REQUIRE(ssh::is_listening(text + "\nno line of the table", path) == listens);
  return 0;
}
