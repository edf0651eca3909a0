// Reads private key files.
#include "key_file.hpp"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "transport/ssh/base/base64.hpp"
#include "transport/ssh/base/wire.hpp"
#include "transport/ssh/host_keys/known_hosts.hpp"

namespace stillgate::transport::ssh {
namespace {

/// As OpenSSH has it.
constexpr std::size_t most_of_a_key = std::size_t{1} << 20U;
constexpr std::string_view openssh_begin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view openssh_end = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view openssh_magic{"openssh-key-v1\0", 15};

/// Behind the public half lies the private one, which is not to stay in freed memory.
struct Wiped {
  Wiped(std::string& packed, std::optional<std::string>& bytes) : packed_(packed), bytes_(bytes) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() {
    OPENSSL_cleanse(packed_.data(), packed_.size());
    if (bytes_) OPENSSL_cleanse(bytes_->data(), bytes_->size());
  }

 private:
  std::string& packed_;
  std::optional<std::string>& bytes_;
};

/// The private part of PROTOCOL.key where no cipher hides it: a number twice, the type, the public
/// key, and the seed with the public key after it.
std::shared_ptr<const Secret> seed_of(std::string_view private_part) {
  constexpr std::size_t seed_bytes = 32;
  WireReader reader(private_part);
  const auto check = reader.number();
  const auto again = reader.number();
  const auto type = reader.string();
  if (!check || check != again || type != "ssh-ed25519" || !reader.string()) return nullptr;
  const auto seed = reader.string();
  if (!seed || seed->size() != 2 * seed_bytes) return nullptr;
  return Secret::take(std::string(seed->substr(0, seed_bytes)));
}

/// OpenSSH's PROTOCOL.key: the magic, cipher, kdf, its options, a number, the public key, the
/// private part.
KeyInfo inspect_openssh_key(std::string_view text) {
  KeyInfo info;
  std::string packed(text.substr(0, text.find(openssh_end)));
  std::erase_if(packed, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  auto bytes = decode_base64(packed);
  const Wiped wiped{packed, bytes};
  if (!bytes || !bytes->starts_with(openssh_magic)) return info;
  WireReader reader(std::string_view(*bytes).substr(openssh_magic.size()));
  const auto cipher = reader.string();
  const bool passed = reader.string() && reader.string() && reader.number();
  const auto blob = passed ? reader.string() : std::nullopt;
  info.encrypted = cipher && *cipher != "none";
  if (blob) info.public_blob = *blob;
  const auto private_part = blob && !info.encrypted ? reader.string() : std::nullopt;
  if (private_part) info.seed = seed_of(*private_part);
  return info;
}

/// Its type, and the same in its blob.
bool is_public_key(std::string_view text) {
  const std::string blob = public_blob_of(text);
  return !blob.empty() && text.substr(0, text.find(' ')) == key_type(blob);
}

}  // namespace

bool KeyFile::is_rsa() const {
  return key_type(public_blob) == "ssh-rsa" ||
         (text && text->view().find("BEGIN RSA PRIVATE KEY") != std::string_view::npos);
}

KeyInfo inspect_key(std::string_view text) {
  if (const auto begin = text.find(openssh_begin); begin != std::string_view::npos) {
    return inspect_openssh_key(text.substr(begin + openssh_begin.size()));
  }
  return {text.find("ENCRYPTED") != std::string_view::npos, {}, nullptr};
}

std::string public_blob_of(std::string_view pub_text) {
  const std::size_t space = pub_text.find(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view rest = pub_text.substr(space + 1);
  return decode_base64(rest.substr(0, rest.find_first_of(" \r\n"))).value_or("");
}

files::Read<KeyFile> read_key_file(const std::string& path) {
  auto file = files::read_file(path, most_of_a_key);
  KeyFile key;
  key.path = path;
  if (!file || is_public_key(file->text)) {
    const auto pub = file ? file : files::read_file(path + ".pub", most_of_a_key);
    key.public_blob = pub ? public_blob_of(pub->text) : "";
    if (key.public_blob.empty()) return {std::nullopt, std::move(file.fault)};
    return {std::move(key), {}};
  }
  if (auto why = files::key_read_by_others(path, file->status, ::getuid()); !why.empty()) {
    OPENSSL_cleanse(file->text.data(), file->text.size());
    return {std::nullopt, {0, std::move(why)}};
  }
  KeyInfo info = inspect_key(file->text);
  key.text = Secret::take(std::move(file->text));
  key.encrypted = info.encrypted;
  key.public_blob = std::move(info.public_blob);
  key.seed = std::move(info.seed);
  if (!key.public_blob.empty()) {
    key.public_line =
        fmt::format("{} {}", key_type(key.public_blob), encode_base64(key.public_blob));
  }
  if (key.public_blob.empty()) {
    const auto pub = files::read_file(path + ".pub", most_of_a_key);
    if (pub) key.public_blob = public_blob_of(pub->text);
  }
  return {std::move(key), {}};
}

}  // namespace stillgate::transport::ssh
