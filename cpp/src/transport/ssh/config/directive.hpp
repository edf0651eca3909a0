// One line of an ssh_config, understood and checked, but not yet applied to any host.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

namespace stillgate::transport::ssh {

enum class Keyword {
  host,
  match,
  include,
  host_name,
  user,
  port,
  identity_file,
  identities_only,
  identity_agent,
  certificate_file,
  user_known_hosts_file,
  global_known_hosts_file,
  strict_host_key_checking,
  hash_known_hosts,
  host_key_alias,
  revoked_host_keys,
  proxy_jump,
  proxy_command,
  connect_timeout,
  address_family,
  kex_algorithms,
  host_key_algorithms,
  ciphers,
  macs,
  pubkey_accepted_algorithms,
  file_begins,  ///< no keyword: the start and the end of a file, included or not
  file_ends,
};

/// One criterion of a Match line.
struct Criterion {
  std::string name;      ///< in lower case, without the `!`
  std::string argument;  ///< empty for `all`, `final` and `canonical`
  bool negated{false};
};

/// The place of a directive, for messages.
struct Place {
  std::shared_ptr<const std::string> file;
  unsigned line{0};
};

struct Directive {
  Keyword keyword{};
  std::vector<std::string> arguments;  ///< of a ProxyCommand one: the rest of the line
  std::vector<Criterion> criteria;     ///< of a Match
  Place place;
};

/// nullopt: the line is empty, a comment, or its keyword is none of ours. Error: ssh_config.
[[nodiscard]] Result<std::optional<Directive>> understand(std::string_view line,
                                                          const Place& place);

/// The code ssh_config, with file and line before the message.
[[nodiscard]] Error bad_config(const Place& place, std::string_view why);

}  // namespace stillgate::transport::ssh
