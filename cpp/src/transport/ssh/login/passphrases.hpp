// Passphrases and passwords that were typed: each is asked for once in the life of a process.
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

  /// Asks for what that way needs and nobody has typed yet: the password where the endpoint asks
  /// for it; an encrypted key's passphrase where neither the agent nor another key can serve.
  /// Before anything is connected, because typing takes its time. A way that is prepared is not
  /// looked at again: an agent that has died since then is not to keep a resume waiting whose
  /// sessions are open.
  void prepare(const std::vector<std::shared_ptr<const Route>>& routes,
               const std::stop_token& stop);

  [[nodiscard]] std::shared_ptr<const Secret> passphrase(const KeyFile& key) const;
  [[nodiscard]] std::shared_ptr<const Secret> password(const Route& route) const;
  /// All that was typed, as know() takes it. A secret itself.
  [[nodiscard]] std::string export_all() const;
  void import_all(std::string_view told);
  /// It was wrong: the next prepare() asks again.
  void forget_passphrase(const KeyFile& key);
  void forget_password(const Route& route);

 private:
  [[nodiscard]] std::shared_ptr<const Secret> find(const std::string& what) const;
  /// By socket: each agent is asked once, for all ways together. One that hangs costs seconds.
  using Agents = std::map<std::string, std::vector<AgentKey>>;

  void prepare(const Route& route, Agents& agents, const std::stop_token& stop);
  void ask_if_needed(const Route& route, Agents& agents, const std::stop_token& stop);
  void ask(const std::string& what, const std::string& prompt, const std::stop_token& stop);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Secret>> typed_;
  std::set<std::string> prepared_;  ///< Route::key()
};

}  // namespace stillgate::transport::ssh
