// The host keys that the file of ssh_config's RevokedHostKeys takes back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "krl.hpp"

namespace stillgate::transport::ssh {

/// One file: a KRL, or text with one public key on each line. Immutable once made; safe to read
/// from several threads.
class RevokedKeys {
 public:
  /// Takes a text to where it is not understood, as ssh does.
  static RevokedKeys parse(std::string_view text);

  /// A file that cannot be read is one with a fault.
  static RevokedKeys load(const std::string& path);

  /// The line that has that key, 0 in a KRL; nullopt: it is in none that was understood. `blob` is
  /// the key as it is on the wire.
  [[nodiscard]] std::optional<unsigned> find(std::string_view blob) const;

  /// What is wrong, for use after the file's name; empty: nothing. If anything is wrong, no
  /// key may be accepted, found or not.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

 private:
  void take_lines(std::string_view text);

  std::unordered_map<std::string, unsigned> lines_;
  Krl krl_;
  std::string fault_;
};

/// The key of an authorized_keys' line without its options, `ssh-ed25519 AAAA... comment`; of a
/// certificate the plain key that it certifies. nullopt: there is none, or none of those that ssh
/// knows.
[[nodiscard]] std::optional<std::string> plain_key_of(std::string_view line);

}  // namespace stillgate::transport::ssh
