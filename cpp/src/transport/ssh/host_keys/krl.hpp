// Reading OpenSSH's key revocation lists, as `ssh-keygen -k` makes them (its PROTOCOL.krl).
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace stillgate::transport::ssh {

/// The plain keys of a KRL. Sections about certificates are checked and ignored.
struct Krl {
  std::unordered_set<std::string> keys;     ///< as they are on the wire
  std::unordered_set<std::string> sha1s;    ///< of such keys, 20 bytes each
  std::unordered_set<std::string> sha256s;  ///< 32 bytes each
  std::string fault;  ///< why it cannot be relied on, whatever is above; empty: it can

  [[nodiscard]] bool has(std::string_view key) const;
};

[[nodiscard]] bool is_krl(std::string_view text);

/// `text` is one. Anything in it that OpenSSH would not accept, or does not know, is a fault: it
/// may hide the very key that is looked for.
[[nodiscard]] Krl read_krl(std::string_view text);

}  // namespace stillgate::transport::ssh
