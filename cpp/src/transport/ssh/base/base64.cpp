// Base64 by libcrypto.
#include "base64.hpp"

#include <limits>

#include <openssl/evp.h>

namespace stillgate::transport::ssh {
namespace {

constexpr std::size_t group = 4;
constexpr std::size_t bytes_of_group = 3;
constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const unsigned char* data_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  // One more byte: EVP_EncodeBlock closes with a NUL.
  std::string text((bytes.size() + bytes_of_group - 1) / bytes_of_group * group + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data_of(bytes),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % group != 0 || text.size() > std::numeric_limits<int>::max()) {
    return std::nullopt;
  }
  const std::size_t characters = text.find_last_not_of('=') + 1;
  const std::size_t padding = text.size() - characters;
  // EVP_DecodeBlock forgives white space around and counts the padding as bytes.
  if (padding > 2 || text.substr(0, characters).find_first_not_of(alphabet) != text.npos) {
    return std::nullopt;
  }
  std::string bytes(text.size() / group * bytes_of_group, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), data_of(text),
                      static_cast<int>(text.size())) < 0) {
    return std::nullopt;
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace stillgate::transport::ssh
