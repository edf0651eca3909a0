// Hashing in one call.
#include "digest.hpp"

#include <array>

namespace stillgate::transport::ssh {

std::string digest_of(std::string_view bytes, const EVP_MD* algorithm) {
  std::array<char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
             algorithm, nullptr);
  return {digest.data(), size};
}

}  // namespace stillgate::transport::ssh
