// Fuzzes known_hosts: never a crash, and a line of our own makes its key known.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "require.hpp"
#include "transport/ssh/host_keys/known_hosts.hpp"

namespace ssh = stillgate::transport::ssh;
using Verdict = ssh::KnownHosts::Verdict;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string blob =
      std::string("\0\0\0\x0bssh-ed25519\0\0\0\x20", 19) + std::string(32, 'k');
  for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{23}}) {
    const auto names = ssh::lookup_names("lb1", port);
    auto hosts = ssh::KnownHosts::parse(text, "file");
    const auto before = hosts.check(names, blob);
    REQUIRE((before.line == 0) == (before.verdict == Verdict::unknown));
    REQUIRE(before.file == (before.line == 0 ? "" : "file"));
    const auto types = hosts.key_types(names[0]);
    REQUIRE(before.verdict != Verdict::other_type || !types.empty());
    for (const bool hashed : {false, true}) {
      auto with = hosts;
      with.add(ssh::known_hosts_line(names[0], blob, hashed), "ours");
      const auto after = with.check(names, blob).verdict;
      REQUIRE(after == (before.verdict == Verdict::revoked ? Verdict::revoked : Verdict::known));
      REQUIRE(with.key_types(names[0]).size() >= types.size());
    }
  }
  REQUIRE(ssh::fingerprint(text).size() == 50);
  REQUIRE(ssh::key_type(text).size() <= text.size());
  return 0;
}
