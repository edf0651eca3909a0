// OpenSSH's algorithms: the names it knows, its defaults, and the lists that an ssh_config makes of
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stillgate::transport::ssh {

enum class AlgorithmKind { key_exchange, host_key, cipher, mac, public_key };

/// The algorithms that may be used, the preferred first.
struct AlgorithmList {
  std::vector<std::string> names;
  std::string place;  ///< FILE:LINE of the ssh_config that has it; empty: OpenSSH's defaults
  /// A host key algorithm of which known_hosts has a key goes before the others.
  bool known_hosts_first{true};
};

struct Algorithms {
  AlgorithmList key_exchanges;
  AlgorithmList host_keys;
  AlgorithmList ciphers;
  AlgorithmList macs;
  AlgorithmList public_keys;  ///< by which the user may sign
};

/// Whether ssh takes the list: names it knows between commas, after `+`, `-` or `^`. Whether
/// libssh2 has them is another matter.
[[nodiscard]] bool valid_algorithms(AlgorithmKind kind, std::string_view list);

/// What ssh makes of a valid list: `+` appends to its defaults, `^` puts ahead of them, `-` takes
/// away what matches. An empty list is the defaults.
[[nodiscard]] std::vector<std::string> assemble_algorithms(AlgorithmKind kind,
                                                           std::string_view list);

}  // namespace stillgate::transport::ssh
