// The kernel's table of unix sockets, as a server sends it.
#pragma once

#include <string_view>

namespace stillgate::transport::ssh {

/// Whether a process listens on `path`, by the text of a /proc/net/unix. HAProxy binds a temporary
/// name and renames it; the table keeps the temporary name.
[[nodiscard]] bool is_listening(std::string_view table, std::string_view path);

}  // namespace stillgate::transport::ssh
