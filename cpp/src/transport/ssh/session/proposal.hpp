// What is offered to a server in the key exchange, and what of it the server does not have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <libssh2.h>

#include <stillgate/error.hpp>

#include "transport/ssh/base/kex_init.hpp"
#include "transport/ssh/base/library.hpp"
#include "transport/ssh/login/route.hpp"

namespace stillgate::transport::ssh {

/// Those of the settings that libssh2 has, the preferred first; no list is empty.
struct Proposal {
  std::vector<std::string> key_exchanges;
  std::vector<std::string> host_keys;
  std::vector<std::string> ciphers;
  std::vector<std::string> macs;
};

/// `host_keys` are those of the settings in the order to offer them. Error: ssh_key_exchange, with
/// file and line of a list from which libssh2 has nothing.
[[nodiscard]] Result<Proposal> make_proposal(const Settings& settings,
                                             const std::vector<std::string>& host_keys,
                                             const SupportedAlgorithms& supported,
                                             std::string_view server);

/// Makes libssh2 offer just that, and sign by what the settings allow.
void apply(const Proposal& proposal, const Settings& settings, LIBSSH2_SESSION* session);

/// Which list has nothing in common with the server's, and what is in both. Empty: all have.
[[nodiscard]] std::string mismatch(const Proposal& proposal, const KexInit& server);

}  // namespace stillgate::transport::ssh
