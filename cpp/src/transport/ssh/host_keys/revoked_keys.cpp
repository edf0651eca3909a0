// Tells a KRL from a text file, and reads the keys in text.
#include "revoked_keys.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "files/file.hpp"
#include "transport/ssh/base/base64.hpp"
#include "transport/ssh/base/wire.hpp"
#include "transport/ssh/base/words.hpp"

namespace stillgate::transport::ssh {
namespace {

/// What OpenSSH itself would read of a file.
constexpr std::size_t max_bytes = 128U << 20U;

/// The name of a type with a certificate: "ssh-ed25519-cert-v01@openssh.com".
constexpr std::string_view certified = "-cert-v01@openssh.com";

struct KeyForm {
  std::string_view type;
  unsigned fields;          ///< the strings after the type, in a certificate after its nonce
  std::string_view stem{};  ///< before `certified`, where that is not the type
};

constexpr std::array<KeyForm, 8> forms{
    {{"ssh-ed25519", 1},
     {"ecdsa-sha2-nistp256", 2},
     {"ecdsa-sha2-nistp384", 2},
     {"ecdsa-sha2-nistp521", 2},
     {"ssh-rsa", 2},
     {"ssh-dss", 4},
     {"sk-ssh-ed25519@openssh.com", 2, "sk-ssh-ed25519"},
     {"sk-ecdsa-sha2-nistp256@openssh.com", 3, "sk-ecdsa-sha2-nistp256"}}};

/// The plain key out of the blob of a key of that form, whose type has been read.
std::optional<std::string> plain_key(WireReader rest, const KeyForm& form, bool certificate) {
  if (certificate && !rest.string()) return std::nullopt;
  WireWriter plain;
  plain.string(form.type);
  for (unsigned i = 0; i < form.fields; ++i) {
    const auto field = rest.string();
    if (!field) return std::nullopt;
    plain.string(*field);
  }
  if (!certificate && !rest.empty()) return std::nullopt;
  return plain.bytes();
}

}  // namespace

std::optional<std::string> plain_key_of(std::string_view line) {
  skip_blanks(line);
  const std::string_view type = take_word(line);
  const auto blob = decode_base64(take_word(line));
  if (!blob) return std::nullopt;
  WireReader rest(*blob);
  if (rest.string() != type) return std::nullopt;
  const bool certificate = type.ends_with(certified);
  const std::string_view stem = type.substr(0, type.size() - (certificate ? certified.size() : 0));
  const auto* const form = std::find_if(forms.begin(), forms.end(), [&](const KeyForm& candidate) {
    return stem == (certificate && !candidate.stem.empty() ? candidate.stem : candidate.type);
  });
  if (form == forms.end()) return std::nullopt;
  return plain_key(rest, *form, certificate);
}

RevokedKeys RevokedKeys::parse(std::string_view text) {
  RevokedKeys keys;
  if (!is_krl(text)) {
    keys.take_lines(text);
    return keys;
  }
  keys.krl_ = read_krl(text);
  if (!keys.krl_.fault.empty()) keys.fault_ = fmt::format("this KRL {}", keys.krl_.fault);
  return keys;
}

RevokedKeys RevokedKeys::load(const std::string& path) {
  const auto read = files::read_file(path, max_bytes);
  if (read) return parse(read->text);
  RevokedKeys keys;
  keys.fault_ = read.fault.why;
  return keys;
}

void RevokedKeys::take_lines(std::string_view text) {
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    skip_blanks(line);
    if (line.empty() || line.starts_with('#')) continue;
    auto key = plain_key_of(line);
    if (!key) {
      // A known_hosts line, or a newer kind of key: its meaning is unknown.
      fault_ = fmt::format("line {} is not a public key such as 'ssh-ed25519 AAAA...'", number);
      return;
    }
    lines_.emplace(*std::move(key), number);
  }
}

std::optional<unsigned> RevokedKeys::find(std::string_view blob) const {
  if (const auto found = lines_.find(std::string(blob)); found != lines_.end()) {
    return found->second;
  }
  if (krl_.has(blob)) return 0;
  return std::nullopt;
}

}  // namespace stillgate::transport::ssh
