// Fuzzes RevokedHostKeys, text and KRL: never a crash, and what is understood keeps its keys with
// more behind it.
#include <cstddef>
#include <cstdint>
#include <string>

#include "require.hpp"
#include "transport/ssh/base/base64.hpp"
#include "transport/ssh/base/wire.hpp"
#include "transport/ssh/host_keys/known_hosts.hpp"
#include "transport/ssh/host_keys/revoked_keys.hpp"

namespace ssh = stillgate::transport::ssh;

namespace {

/// The file ends as a list, with that one more: in text a line, in a KRL a section.
std::string with(const std::string& text, const std::string& blob) {
  if (ssh::is_krl(text)) {
    const std::string keys = ssh::WireWriter().string(blob).bytes();
    return text + '\x02' + ssh::WireWriter().string(keys).bytes();
  }
  return text + "\nssh-ed25519 " + ssh::encode_base64(blob);
}

void check(const std::string& text) {
  const std::string blob =
      ssh::WireWriter().string("ssh-ed25519").string(std::string(32, 'k')).bytes();
  const auto before = ssh::RevokedKeys::parse(text);
  const auto after = ssh::RevokedKeys::parse(with(text, blob));
  REQUIRE(before.fault() == after.fault() || ssh::is_krl(text));
  REQUIRE(!before.find(blob) || ssh::is_krl(text) || before.find(blob) == after.find(blob));
  if (!before.fault().empty()) return;
  REQUIRE(after.fault().empty() && after.find(blob));
  REQUIRE(ssh::is_krl(text) == (after.find(blob) == 0U));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  // The same as the sections of a KRL, of which few texts have the head.
  check(std::string("SSHKRL\n\0\0\0\0\x01", 12) + std::string(32, '\0') + text);
  if (const auto key = ssh::plain_key_of(text)) REQUIRE(!ssh::key_type(*key).empty());
  return 0;
}
