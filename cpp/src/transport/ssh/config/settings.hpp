// What an SSH connection is made from: the destination and its settings from ssh_config.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "algorithms.hpp"

namespace stillgate::transport::ssh {

/// The server in an endpoint's URL or a hop of a ProxyJump. No brackets around an IPv6 address.
struct Destination {
  std::string host;
  std::optional<std::string> user;
  std::optional<std::uint16_t> port;

  bool operator==(const Destination&) const = default;
};

/// The local user, host and environment that a configuration may refer to. Handed in, so that tests
/// can choose it.
struct LocalContext {
  std::string home;                  ///< the user's home folder, without a slash at its end
  std::string user;                  ///< the local user's name
  unsigned uid{0};                   ///< the local user's number
  std::optional<std::string> agent;  ///< $SSH_AUTH_SOCK
  std::string local_host;            ///< this machine's name, with its domain if it has one
  std::function<std::optional<std::string>(const std::string& name)> environment;  ///< for ${NAME}
};

enum class HostKeyChecking { ask, yes, accept_new, no };

/// What holds for one destination. Paths are absolute or relative to the working folder: `~`,
/// tokens and variables are expanded.
struct Settings {
  std::string host;       ///< as named in the URL
  std::string host_name;  ///< what to connect to, in lower case
  std::uint16_t port{22};
  std::string user;
  std::vector<std::string> identity_files;  ///< OpenSSH's defaults if none is configured
  bool identity_files_named{false};         ///< configured, not the defaults
  bool identities_only{false};
  std::optional<std::string> identity_agent;  ///< the socket's path; nullopt: no agent
  std::vector<std::string> certificate_files;
  std::vector<std::string> user_known_hosts_files;    ///< empty: none
  std::vector<std::string> global_known_hosts_files;  ///< empty: none
  HostKeyChecking host_key_checking{HostKeyChecking::ask};
  bool hash_known_hosts{false};
  std::string host_key_alias;                  ///< empty: none
  std::vector<std::string> revoked_host_keys;  ///< files; empty: none
  std::string revoked_host_keys_place;         ///< FILE:LINE of the ssh_config that names them
  std::vector<Destination> jumps;              ///< ProxyJump, the first hop first
  std::string proxy_command;                   ///< for a shell; empty: none
  std::optional<std::chrono::seconds> connect_timeout;
  int address_family{AF_UNSPEC};  ///< of the connections that are made from here
  Algorithms algorithms;
};

}  // namespace stillgate::transport::ssh
