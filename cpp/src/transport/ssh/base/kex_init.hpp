// What a server offers for the key exchange: its SSH_MSG_KEXINIT, read beside libssh2, which does
// not tell it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace stillgate::transport::ssh {

/// The name-lists of a KEXINIT (RFC 4253, section 7.1), as they were sent: names between commas.
struct KexInit {
  std::string key_exchanges;
  std::string host_keys;
  std::string ciphers_to_server;
  std::string ciphers_to_client;
  std::string macs_to_server;
  std::string macs_to_client;
  std::string compressions_to_server;
  std::string compressions_to_client;
};

/// nullopt: `payload` is no KEXINIT.
[[nodiscard]] std::optional<KexInit> parse_kex_init(std::string_view payload);

/// Finds the KEXINIT in the first bytes of a connection, in chunks of any size. Keeps one packet
/// at most, and gives up where libssh2 would.
class KexInitReader {
 public:
  /// The longest packet that SSH asks everybody to take (RFC 4253, section 6.1).
  static constexpr std::size_t longest_packet = 35'000;

  void feed(std::string_view bytes);
  /// nullopt: not yet, or never.
  [[nodiscard]] const std::optional<KexInit>& found() const noexcept { return found_; }

 private:
  enum class Stage { version, packet, over };

  std::size_t take_version(std::string_view bytes);
  std::size_t take_packet(std::string_view bytes);
  [[nodiscard]] std::size_t packet_bytes() const;
  void finish();

  Stage stage_{Stage::version};
  std::string kept_;  ///< of the line or the packet that is not complete
  std::optional<KexInit> found_;
};

}  // namespace stillgate::transport::ssh
