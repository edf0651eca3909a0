// An endpoint: one runtime API socket of one HAProxy. Exists only parsed.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <stillgate/error.hpp>

namespace stillgate {

/// `unix:///run/haproxy/admin.sock` (or the bare absolute path), or `tcp://host:9999`
/// (`tcp://[::1]:9999` for IPv6). A value type; safe to copy between threads.
class Endpoint {
 public:
  enum class Kind { unix_socket, tcp };

  /// Longest path of a unix socket in bytes: sockaddr_un holds 108 with the closing NUL.
  static constexpr std::size_t max_path = 107;

  /// Errors: bad_endpoint, with `field` set to "endpoint".
  static Result<Endpoint> parse(std::string_view text);

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }  ///< unix only
  [[nodiscard]] const std::string& host() const noexcept {
    return host_;
  }                                                                    ///< tcp only, no brackets
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }  ///< tcp only, 1 to 65535

  /// The canonical form: equal endpoints have equal URLs.
  [[nodiscard]] const std::string& url() const noexcept { return url_; }

  bool operator==(const Endpoint& other) const noexcept { return url_ == other.url_; }

 private:
  Endpoint() = default;

  Kind kind_{Kind::unix_socket};
  std::string path_;
  std::string host_;
  std::uint16_t port_{0};
  std::string url_;
};

}  // namespace stillgate
