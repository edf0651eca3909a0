// Hashes by libcrypto.
#pragma once

#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace stillgate::transport::ssh {

/// The hash's bytes; empty where libcrypto refuses the algorithm.
[[nodiscard]] std::string digest_of(std::string_view bytes, const EVP_MD* algorithm);

}  // namespace stillgate::transport::ssh
