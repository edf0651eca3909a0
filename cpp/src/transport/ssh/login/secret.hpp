// A secret in memory: left out of core files, kept from swap, wiped at the end.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace stillgate::transport::ssh {

/// Immutable; safe to read from several threads. What libssh2 and OpenSSL make of it while they
/// sign is theirs.
class Secret {
 public:
  /// Takes `text` over and wipes it.
  static std::shared_ptr<const Secret> take(std::string&& text);
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  /// With a NUL after it.
  [[nodiscard]] std::string_view view() const noexcept { return {text_, size_}; }

 private:
  explicit Secret(std::string_view text);

  std::size_t size_;
  std::size_t mapped_;
  char* text_;
};

/// Asks on this process's terminal, without an echo. nullptr: no terminal, nothing was
/// typed, or the caller stopped it. Blocks.
[[nodiscard]] std::shared_ptr<const Secret> ask_on_terminal(const std::string& prompt,
                                                            const std::stop_token& stop);

}  // namespace stillgate::transport::ssh
