// One line of an ssh_config, understood and checked, but not yet applied to any host.
#pragma once

#include <memory>
#include <string>
#include <vector>

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
  proxy_jump,
  proxy_command,
  connect_timeout,
  file_begins,  ///< no keyword: the start and the end of a file, included or not
  file_ends,
};

/// One criterion of a Match line.
struct Criterion {
  std::string name;  ///< in lower case, without the `!`
  std::string argument;
  bool negated{false};
};

struct Directive {
  Keyword keyword{};
  std::vector<std::string> arguments;  ///< for ProxyJump and ProxyCommand one: the line's rest
  std::vector<Criterion> criteria;     ///< of a Match
  std::shared_ptr<const std::string> file;
  unsigned line{0};
};

}  // namespace stillgate::transport::ssh
