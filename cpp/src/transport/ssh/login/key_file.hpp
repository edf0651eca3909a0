// A private key's file: what it reveals without its passphrase.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

#include "files/file.hpp"
#include "secret.hpp"

namespace stillgate::transport::ssh {

struct KeyFile {
  std::string path;
  std::shared_ptr<const Secret> text;  ///< null: only its public half is here; an agent may have it
  bool encrypted{false};
  std::string public_blob;  ///< as on the wire; empty: neither the key nor its .pub has it
  /// The line of its .pub, if the key file has the public half. Empty: libssh2 derives it.
  std::string public_line;
  /// The private half of an ed25519 key that is not encrypted; null: libssh2 reads the key.
  std::shared_ptr<const Secret> seed;
  std::string certificate;  ///< the text of a certificate for it; empty: none

  [[nodiscard]] bool is_rsa() const;
};

/// Whether it is encrypted, and its halves if it is in OpenSSH's own format.
struct KeyInfo {
  bool encrypted{false};
  std::string public_blob;
  std::shared_ptr<const Secret> seed;  ///< see KeyFile
};
[[nodiscard]] KeyInfo inspect_key(std::string_view text);

/// The key's public half from the text of a .pub file; empty: none.
[[nodiscard]] std::string public_blob_of(std::string_view pub_text);

/// Nothing where neither it nor its .pub can be read, or others can read it. A file that is itself
/// a public key names a key of the agent, as for ssh.
[[nodiscard]] files::Read<KeyFile> read_key_file(const std::string& path);

}  // namespace stillgate::transport::ssh
