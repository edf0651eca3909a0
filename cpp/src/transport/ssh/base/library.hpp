// Starts libssh2 once; its session as a handle that frees itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <libssh2.h>

#include "kex_init.hpp"

namespace stillgate::transport::ssh {

class Login;

/// How much of what a peer sends libssh2 gets to see. Its loops end only where the socket is empty,
/// so a peer that never stops would keep a worker's thread, and with it every deadline there.
struct Intake {
  /// No login needs more: a banner file, the keys, and an answer for each key that is offered.
  static constexpr std::size_t before_login = std::size_t{256} * 1024;
  /// Of one run of the worker's loop. The rest stays in the socket, which then is readable again.
  static constexpr std::size_t per_step = std::size_t{64} * 1024;
  /// Between two keep-alives, beside what the channels are given.
  static constexpr std::size_t between_keep_alives = std::size_t{16} * 1024 * 1024;
  /// libssh2 keeps each message that nobody asks for. A channel keeps at most its window.
  static constexpr std::size_t memory = std::size_t{8} * 1024 * 1024;
  static constexpr std::size_t memory_per_channel = std::size_t{512} * 1024;

  std::size_t step{0};                  ///< bytes that may still be read in this step
  std::size_t allowance{before_login};  ///< bytes that may be read at all
  std::size_t most_memory{memory};      ///< of the session
  bool flooded{false};                  ///< the peer has used it up; nothing is read any more
};

/// What libssh2's callbacks of one session read and write.
struct SessionNotes {
  std::string disconnect_message;  ///< the server's reason for disconnecting
  std::uint64_t received{0};       ///< bytes
  std::size_t memory{0};           ///< what the session has allocated, in bytes
  Intake intake;
  KexInitReader kex_init;
  const Login* login{nullptr};
};

struct EndSession {
  void operator()(LIBSSH2_SESSION* session) const noexcept;
};
using SessionHandle = std::unique_ptr<LIBSSH2_SESSION, EndSession>;

/// A non-blocking session; null if there is no memory. `notes` must outlive it. Thread-safe; a
/// session is not.
[[nodiscard]] SessionHandle new_session(SessionNotes& notes);

/// What this libssh2 can do. OpenSSH's names, in no order of preference.
struct SupportedAlgorithms {
  std::vector<std::string> key_exchanges;
  std::vector<std::string> host_keys;  ///< no certificates: their authorities cannot be checked
  std::vector<std::string> ciphers;
  std::vector<std::string> macs;
  /// Strict key exchange (against Terrapin, CVE-2023-48795). Without it the ciphers and MACs that
  /// the attack needs are left out: chacha20-poly1305 and those of encrypt-then-MAC.
  bool strict_key_exchange{false};
};

/// Asked of the library once. Thread-safe.
[[nodiscard]] const SupportedAlgorithms& supported_algorithms();

/// Before 1.11 libssh2 signs with RSA keys by SHA-1 only, which OpenSSH 8.8 and later refuses.
inline constexpr bool has_modern_rsa = LIBSSH2_VERSION_NUM >= 0x010b00;

}  // namespace stillgate::transport::ssh
