// Typed passphrases and passwords: each is asked for once per process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent_protocol.hpp"
#include "route.hpp"
#include "secret.hpp"

namespace stillgate::transport::ssh {

/// Thread-safe.
class Passphrases {
 public:
  static Passphrases& of_process();

  /// Asks for what a route needs and was not typed yet: the password where the endpoint asks for
  /// one; an encrypted key's passphrase where neither the agent nor another key will do. Call it
  /// before connecting, because typing takes time. A prepared route is not checked again: a resume
  /// over open sessions must not wait for an agent that has died since.
  void prepare(const std::vector<std::shared_ptr<const Route>>& routes,
               const std::stop_token& stop);

  [[nodiscard]] std::shared_ptr<const Secret> passphrase(const KeyFile& key) const;
  [[nodiscard]] std::shared_ptr<const Secret> password(const Route& route) const;
  /// All that was typed, in the form that import_all() reads. A secret itself.
  [[nodiscard]] std::string export_all() const;
  void import_all(std::string_view told);
  /// It was wrong: the next prepare() asks again.
  void forget_passphrase(const KeyFile& key);
  void forget_password(const Route& route);

 private:
  [[nodiscard]] std::shared_ptr<const Secret> find(const std::string& what) const;
  /// By socket. Each agent is asked once for all routes: one that hangs costs seconds.
  using Agents = std::map<std::string, std::vector<AgentKey>>;

  void prepare(const Route& route, Agents& agents, const std::stop_token& stop);
  void ask_if_needed(const Route& route, Agents& agents, const std::stop_token& stop);
  void ask(const std::string& what, const std::string& prompt, const std::stop_token& stop);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Secret>> typed_;
  std::set<std::string> prepared_;  ///< Route::key()
};

}  // namespace stillgate::transport::ssh
