// A host's name as a salted hash, as HashKnownHosts writes it to a known_hosts file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stillgate::transport::ssh {

class HashedName {
 public:
  /// `|1|salt|hash`
  static std::optional<HashedName> parse(std::string_view text);

  /// With a new random salt.
  static HashedName of(std::string_view name);

  [[nodiscard]] bool matches(std::string_view name) const;
  [[nodiscard]] std::string text() const;

 private:
  std::string salt_;
  std::string hash_;
};

}  // namespace stillgate::transport::ssh
