// Checks the key that a server shows against known_hosts and RevokedHostKeys.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

#include "known_hosts.hpp"
#include "transport/ssh/config/settings.hpp"

namespace stillgate::transport::ssh {

/// Reads the files that the settings name; once, where they are the same and were not changed
/// since. Thread-safe.
[[nodiscard]] std::shared_ptr<const KnownHosts> known_hosts_of(const Settings& settings);

/// The host key algorithms of the settings, in the order in which they are offered: as ssh does,
/// those of known keys first, because with another type of key the host would not be known.
[[nodiscard]] std::vector<std::string> host_key_order(const KnownHosts& known,
                                                      const Settings& settings);

/// nullopt: it is. A new host's key is written down where ssh_config says `accept-new`; `no`, which
/// to ssh means no check at all, is taken for that. Errors: ssh_host_key_unknown,
/// ssh_host_key_changed, ssh_host_key_revoked; ssh_config where the file of RevokedHostKeys cannot
/// be understood; system_error where the key cannot be written down.
[[nodiscard]] std::optional<Error> check_host_key(const KnownHosts& known, const Settings& settings,
                                                  std::string_view server, std::string_view blob);

}  // namespace stillgate::transport::ssh
