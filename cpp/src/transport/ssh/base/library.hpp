// Starts libssh2 once; its session as a handle that frees itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <libssh2.h>

namespace stillgate::transport::ssh {

class Login;

/// What libssh2's callbacks of one session read and write.
struct SessionNotes {
  std::string disconnect_message;  ///< the server's reason for disconnecting
  std::uint64_t received{0};       ///< bytes
  const Login* login{nullptr};
};

struct EndSession {
  void operator()(LIBSSH2_SESSION* session) const noexcept;
};
using SessionHandle = std::unique_ptr<LIBSSH2_SESSION, EndSession>;

/// A non-blocking session; null if there is no memory. `notes` must outlive it. Thread-safe; a
/// session is not.
[[nodiscard]] SessionHandle new_session(SessionNotes& notes);

/// Before 1.11 libssh2 signs with RSA keys by SHA-1 only, which OpenSSH 8.8 and later refuses.
inline constexpr bool has_modern_rsa = LIBSSH2_VERSION_NUM >= 0x010b00;

}  // namespace stillgate::transport::ssh
