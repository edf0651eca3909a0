// Finding a listening socket in /proc/net/unix.
#include "unix_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace stillgate::transport::ssh {

bool is_listening(std::string_view table, std::string_view path) {
  constexpr unsigned long accepting = 0x10000;
  constexpr std::size_t flags_field = 3;
  constexpr std::size_t path_field = 7;
  constexpr std::string_view renamed = ".tmp";
  while (!table.empty()) {
    std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    unsigned long flags = 0;
    for (std::size_t field = 0; field < path_field; ++field) {
      if (field == flags_field) flags = std::strtoul(std::string(line).c_str(), nullptr, 16);
      line.remove_prefix(std::min(line.find(' '), line.size()));
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    }
    if ((flags & accepting) == 0 || !line.starts_with(path)) continue;
    line.remove_prefix(path.size());
    // `.PID.tmp`
    if (line.empty() || (line.starts_with('.') && line.ends_with(renamed))) return true;
  }
  return false;
}

}  // namespace stillgate::transport::ssh
