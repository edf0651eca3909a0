// Asking for passphrases and passwords, and keeping them.
#include "keyring.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "agent.hpp"
#include "base64.hpp"
#include "library.hpp"

namespace stillgate::transport::ssh {
namespace {

std::string of_key(const KeyFile& key) { return "key " + key.path; }
std::string of_user(const Route& route) { return "user " + route.name(); }

/// Whether the agent can serve: with that key, or with any where it is not bound to those named.
bool agent_serves(const Route& route, const KeyFile& key) {
  if (!route.settings.identity_agent) return false;
  SessionNotes notes;
  const auto session = new_session(notes);
  if (!session) return false;
  const Agent agent(session.get(), *route.settings.identity_agent);
  return std::any_of(agent.keys().begin(), agent.keys().end(), [&](const Agent::Key& one) {
    return !route.settings.identities_only || one.blob == key.public_blob;
  });
}

}  // namespace

Keyring& Keyring::of_process() {
  static Keyring keyring;
  return keyring;
}

void Keyring::prepare(const Route& route) {
  if (route.via) prepare(*route.via);
  if (route.asked != SshAccess::Asked::nothing) {
    ask(of_user(route), fmt::format("Password of {}: ", route.name()));
    return;
  }
  for (const auto& key : route.keys) {
    if (!key->encrypted) return;
  }
  for (const auto& key : route.keys) {
    if (agent_serves(route, *key)) return;
  }
  for (const auto& key : route.keys) {
    ask(of_key(*key), fmt::format("Passphrase of {}: ", key->path));
    if (find(of_key(*key))) return;
  }
}

std::shared_ptr<const Secret> Keyring::passphrase(const KeyFile& key) const {
  return find(of_key(key));
}

std::shared_ptr<const Secret> Keyring::password(const Route& route) const {
  return find(of_user(route));
}

void Keyring::forget_passphrase(const KeyFile& key) {
  const std::scoped_lock lock(mutex_);
  typed_.erase(of_key(key));
}

void Keyring::forget_password(const Route& route) {
  const std::scoped_lock lock(mutex_);
  typed_.erase(of_user(route));
}

std::string Keyring::pack() const {
  const std::scoped_lock lock(mutex_);
  std::string word;
  for (const auto& [what, secret] : typed_) {
    std::string text = encode_base64(secret->view());
    word += fmt::format("{}{}:{}", word.empty() ? "" : ",", encode_base64(what), text);
    OPENSSL_cleanse(text.data(), text.size());
  }
  return word;
}

void Keyring::unpack(std::string_view word) {
  const std::scoped_lock lock(mutex_);
  while (!word.empty()) {
    const std::string_view one = word.substr(0, word.find(','));
    word.remove_prefix(std::min(one.size() + 1, word.size()));
    const std::size_t colon = one.find(':');
    if (colon == std::string_view::npos) return;
    const auto what = decode_base64(one.substr(0, colon));
    auto text = decode_base64(one.substr(colon + 1));
    if (!what || !text) return;
    typed_[*what] = Secret::take(*std::move(text));
  }
}

std::shared_ptr<const Secret> Keyring::find(const std::string& what) const {
  const std::scoped_lock lock(mutex_);
  const auto found = typed_.find(what);
  return found == typed_.end() ? nullptr : found->second;
}

void Keyring::ask(const std::string& what, const std::string& prompt) {
  if (find(what)) return;
  auto typed = ask_on_terminal(prompt);
  if (!typed) return;
  const std::scoped_lock lock(mutex_);
  typed_.emplace(what, std::move(typed));
}

}  // namespace stillgate::transport::ssh
