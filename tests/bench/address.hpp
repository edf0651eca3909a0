// An endpoint's URL as the kernel wants it, for the bench's programs without the library.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

struct Address {
  sockaddr_storage storage{};
  socklen_t size{0};

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] bool is_unix() const { return storage.ss_family == AF_UNIX; }
};

/// unix:///path or tcp://a.b.c.d:port; nothing for what is neither.
inline std::optional<Address> parse_address(std::string_view url) {
  constexpr std::string_view unix_scheme = "unix://";
  constexpr std::string_view tcp_scheme = "tcp://";
  Address address;
  if (url.starts_with(unix_scheme)) {
    url.remove_prefix(unix_scheme.size());
    auto* out = reinterpret_cast<sockaddr_un*>(&address.storage);
    if (url.empty() || url.size() >= sizeof out->sun_path) return std::nullopt;
    out->sun_family = AF_UNIX;
    url.copy(static_cast<char*>(out->sun_path), url.size());
    address.size = sizeof *out;
    return address;
  }
  const auto colon = url.rfind(':');
  if (!url.starts_with(tcp_scheme) || colon < tcp_scheme.size()) return std::nullopt;
  const std::string host(url.substr(tcp_scheme.size(), colon - tcp_scheme.size()));
  const int port = std::atoi(std::string(url.substr(colon + 1)).c_str());
  auto* out = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (port < 1 || port > 65535 || ::inet_pton(AF_INET, host.c_str(), &out->sin_addr) != 1) {
    return std::nullopt;
  }
  out->sin_family = AF_INET;
  out->sin_port = htons(static_cast<std::uint16_t>(port));
  address.size = sizeof *out;
  return address;
}

}  // namespace bench
