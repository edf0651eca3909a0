// All that is needed to reach an SSH server and to log in.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/error.hpp>

#include "key_file.hpp"
#include "transport/ssh/config/config.hpp"
#include "transport/ssh/config/settings.hpp"

namespace stillgate::transport::ssh {

/// Immutable once made; shared between threads.
struct Route {
  Settings settings;
  std::vector<std::shared_ptr<const KeyFile>> keys;  ///< in the order in which they are offered
  std::vector<std::string> unread;  ///< key files that are there and cannot be read, and why
  SshAccess::Asked asked{SshAccess::Asked::nothing};
  std::shared_ptr<const Route> via;  ///< the jump host; null: none

  /// `user@host:port`, for messages.
  [[nodiscard]] std::string name() const;
  /// `host:port` and its jump hosts: logins are counted by it.
  [[nodiscard]] std::string place() const;
  /// Equal keys may share one session.
  [[nodiscard]] std::string key() const;
};

/// Finds the route of an endpoint. Reads each ssh_config and each key once. Not thread-safe.
class Routes {
 public:
  Routes();

  /// Errors: ssh_config; ssh_key_unusable for a named key that cannot be read.
  Result<std::shared_ptr<const Route>> find(const Endpoint& endpoint);

 private:
  using Found = Result<std::shared_ptr<const Route>>;

  Result<const Config*> config(const std::string& which);
  Found find(const Destination& destination, const SshAccess& access,
             const std::vector<Destination>* jumps, unsigned depth);
  files::Read<std::shared_ptr<const KeyFile>> key(const std::string& path);
  std::optional<Error> add_keys(const SshAccess& access, Route& route);

  LocalContext local_;
  std::map<std::string, Config> configs_;
  std::map<std::string, std::shared_ptr<const KeyFile>> keys_;
};

}  // namespace stillgate::transport::ssh
