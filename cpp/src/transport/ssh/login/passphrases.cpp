// Asks for passphrases and passwords, and keeps them.
#include "passphrases.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "agent.hpp"
#include "transport/ssh/base/library.hpp"

namespace stillgate::transport::ssh {
namespace {

std::string of_key(const KeyFile& key) { return "key " + key.path; }
std::string of_user(const Route& route) { return "user " + route.name(); }

bool can_sign(const std::shared_ptr<const KeyFile>& key) {
  return key->text && (has_modern_rsa || !key->is_rsa());
}

/// Whether the agent has a usable key: any, or with IdentitiesOnly one of the route's.
bool agent_serves(const Route& route, const std::vector<AgentKey>& held) {
  const auto named = [&route](const AgentKey& agent_key) {
    return std::any_of(route.keys.begin(), route.keys.end(), [&agent_key](const auto& key) {
      return key->public_blob == agent_key.blob;
    });
  };
  return route.settings.identities_only ? std::any_of(held.begin(), held.end(), named)
                                        : !held.empty();
}

}  // namespace

Passphrases& Passphrases::of_process() {
  static Passphrases passphrases;
  return passphrases;
}

void Passphrases::prepare(const std::vector<std::shared_ptr<const Route>>& routes,
                          const std::stop_token& stop) {
  Agents agents;
  for (const auto& route : routes) prepare(*route, agents, stop);
}

void Passphrases::prepare(const Route& route, Agents& agents, const std::stop_token& stop) {
  const std::string route_key = route.key();
  {
    const std::scoped_lock lock(mutex_);
    if (prepared_.contains(route_key)) return;
  }
  if (route.via) prepare(*route.via, agents, stop);
  ask_if_needed(route, agents, stop);
  const std::scoped_lock lock(mutex_);
  if (!stop.stop_requested()) prepared_.insert(route_key);
}

void Passphrases::ask_if_needed(const Route& route, Agents& agents, const std::stop_token& stop) {
  if (route.asked != SshAccess::Asked::nothing) {
    ask(of_user(route), fmt::format("Password of {}: ", route.name()), stop);
    return;
  }
  std::vector<std::shared_ptr<const KeyFile>> keys;
  std::copy_if(route.keys.begin(), route.keys.end(), std::back_inserter(keys), can_sign);
  const bool any_serves = std::any_of(keys.begin(), keys.end(), [this](const auto& key) {
    return !key->encrypted || find(of_key(*key)) != nullptr;
  });
  if (any_serves || keys.empty()) return;
  if (const auto& socket = route.settings.identity_agent) {
    auto held = agents.find(*socket);
    if (held == agents.end()) held = agents.emplace(*socket, list_agent_keys(*socket, stop)).first;
    if (agent_serves(route, held->second)) return;
  }
  for (const auto& key : keys) {
    ask(of_key(*key), fmt::format("Passphrase of {}: ", key->path), stop);
    if (find(of_key(*key))) return;
  }
}

std::shared_ptr<const Secret> Passphrases::passphrase(const KeyFile& key) const {
  return find(of_key(key));
}

std::shared_ptr<const Secret> Passphrases::password(const Route& route) const {
  return find(of_user(route));
}

void Passphrases::forget_passphrase(const KeyFile& key) {
  const std::scoped_lock lock(mutex_);
  typed_.erase(of_key(key));
  prepared_.clear();
}

void Passphrases::forget_password(const Route& route) {
  const std::scoped_lock lock(mutex_);
  typed_.erase(of_user(route));
  prepared_.clear();
}

std::shared_ptr<const Secret> Passphrases::find(const std::string& what) const {
  const std::scoped_lock lock(mutex_);
  const auto found = typed_.find(what);
  return found == typed_.end() ? nullptr : found->second;
}

std::string Passphrases::export_all() const {
  const std::scoped_lock lock(mutex_);
  std::string all;
  std::size_t size = 0;
  for (const auto& [what, typed] : typed_) size += what.size() + typed->view().size() + 2;
  // Allocated once: a string that grows leaves copies that are not wiped.
  all.reserve(size);
  for (const auto& [what, typed] : typed_) {
    all.append(what).append(1, '\0').append(typed->view()).append(1, '\0');
  }
  return all;
}

void Passphrases::import_all(std::string_view told) {
  const std::scoped_lock lock(mutex_);
  const auto take = [&told] {
    const std::string_view word = told.substr(0, told.find('\0'));
    told.remove_prefix(std::min(word.size() + 1, told.size()));
    return std::string(word);
  };
  while (!told.empty()) {
    const std::string what = take();
    typed_.insert_or_assign(what, Secret::take(take()));
  }
}

void Passphrases::ask(const std::string& what, const std::string& prompt,
                      const std::stop_token& stop) {
  if (stop.stop_requested() || find(what)) return;
  auto typed = ask_on_terminal(prompt, stop);
  if (!typed) return;
  const std::scoped_lock lock(mutex_);
  typed_.emplace(what, std::move(typed));
}

}  // namespace stillgate::transport::ssh
