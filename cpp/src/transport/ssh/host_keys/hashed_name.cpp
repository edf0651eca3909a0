// Hashes host names and matches them: HMAC-SHA1 by libcrypto.
#include "hashed_name.hpp"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "transport/ssh/base/base64.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::string_view magic = "|1|";
constexpr std::size_t hash_bytes = 20;

std::string hash_of(std::string_view salt, std::string_view name) {
  std::array<char, EVP_MAX_MD_SIZE> hash{};
  unsigned size = 0;
  HMAC(EVP_sha1(), salt.data(), static_cast<int>(salt.size()),
       reinterpret_cast<const unsigned char*>(name.data()), name.size(),
       reinterpret_cast<unsigned char*>(hash.data()), &size);
  return {hash.data(), size};
}

}  // namespace

std::optional<HashedName> HashedName::parse(std::string_view text) {
  if (!text.starts_with(magic)) return std::nullopt;
  text.remove_prefix(magic.size());
  const std::size_t bar = text.find('|');
  if (bar == std::string_view::npos) return std::nullopt;
  auto salt = decode_base64(text.substr(0, bar));
  auto hash = decode_base64(text.substr(bar + 1));
  if (!salt || !hash || salt->size() != hash_bytes || hash->size() != hash_bytes) {
    return std::nullopt;
  }
  HashedName hashed;
  hashed.salt_ = *std::move(salt);
  hashed.hash_ = *std::move(hash);
  return hashed;
}

HashedName HashedName::of(std::string_view name) {
  HashedName hashed;
  hashed.salt_.resize(hash_bytes);
  RAND_bytes(reinterpret_cast<unsigned char*>(hashed.salt_.data()), hash_bytes);
  hashed.hash_ = hash_of(hashed.salt_, name);
  return hashed;
}

bool HashedName::matches(std::string_view name) const {
  // An empty hash means that libcrypto failed (SHA-1 forbidden, for example); it matches nothing.
  return hash_of(salt_, name) == hash_;
}

std::string HashedName::text() const {
  return fmt::format("{}{}|{}", magic, encode_base64(salt_), encode_base64(hash_));
}

}  // namespace stillgate::transport::ssh
