// An endpoint: one runtime API socket of one HAProxy. Only `parse` makes one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace [[gnu::visibility("default")]] stillgate {

/// An SSH server: `[user@]host[:port]`. ssh_config decides what is left out.
struct SshHop {
  std::optional<std::string> user{};
  std::string host{};  ///< lower case, no brackets
  std::optional<std::uint16_t> port{};

  bool operator==(const SshHop&) const = default;
};

/// The query of an ssh endpoint's URL.
struct SshAccess {
  enum class Asked { nothing, password, keyboard_interactive };

  std::string tcp_host{};  ///< `tcp=host:port`: a TCP stats socket, as seen from the server
  std::uint16_t tcp_port{0};
  std::vector<std::string> identities{};  ///< `identity=`: key files before ssh_config's
  std::vector<SshHop> jumps{};            ///< `jump=a,b`: instead of ssh_config's ProxyJump
  std::string config{};         ///< `config=`: instead of the user's and the system's ssh_config
  Asked asked{Asked::nothing};  ///< `auth=`: what to ask for on the terminal

  bool operator==(const SshAccess&) const = default;
};

/// `unix:///run/haproxy/admin.sock` (or the bare absolute path), `tcp://host:9999`
/// (`tcp://[::1]:9999` for IPv6), `ssh://[user@]host[:port]/run/haproxy/admin.sock` or
/// `ssh://[user@]host[:port]?tcp=127.0.0.1:9999`; an ssh endpoint's query may have more, see
/// SshAccess. `NAME=` in front of any of these gives it a short name, of letters, digits and `._-`.
/// A value type; safe to copy between threads.
class Endpoint {
 public:
  enum class Kind { unix_socket, tcp, ssh };

  /// Longest path of a unix socket in bytes: sockaddr_un holds 108 with the closing NUL.
  static constexpr std::size_t max_path = 107;

  static constexpr std::size_t max_name = 64;

  /// Errors: bad_endpoint, with `field` set to "endpoint".
  static Result<Endpoint> parse(std::string_view text);

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  /// unix and ssh; empty if an ssh endpoint leads to a TCP stats socket.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// tcp only, no brackets
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }      ///< tcp only, 1 to 65535
  [[nodiscard]] const SshHop& server() const noexcept { return server_; }  ///< ssh only
  [[nodiscard]] const SshAccess& access() const noexcept { return access_; }  ///< ssh only

  /// The canonical form: equal endpoints have equal URLs.
  [[nodiscard]] const std::string& url() const noexcept { return url_; }

  /// The short name that it was given; empty: none. Fleets name each endpoint in reports.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  bool operator==(const Endpoint& other) const noexcept { return url_ == other.url_; }

 private:
  Endpoint() = default;
  static Result<Endpoint> parse_url(std::string_view text);
  static Result<Endpoint> parse_unix(std::string_view text);
  static Result<Endpoint> parse_tcp(std::string_view text);
  static Result<Endpoint> parse_ssh(std::string_view text);

  Kind kind_{Kind::unix_socket};
  std::string path_;
  std::string host_;
  std::uint16_t port_{0};
  SshHop server_;
  SshAccess access_;
  std::string url_;
  std::string name_;
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
