// The attempts of a login, by libssh2.
#include "login.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

#include "passphrases.hpp"
#include "transport/ssh/base/failure.hpp"
#include "transport/ssh/base/library.hpp"
#include "transport/ssh/host_keys/known_hosts.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::string_view rsa_words =
    "RSA keys cannot be used: libssh2 " LIBSSH2_VERSION
    " signs with SHA-1 only, which OpenSSH 8.8 and later refuses; use an ed25519 or ecdsa key";

/// libssh2's message where the server accepts the key but signing failed here. Its code is the same
/// as for a refused signature.
constexpr std::string_view signing_failed = "Callback returned error";

/// As a server does after MaxAuthTries.
bool is_disconnect(int code) {
  return code == LIBSSH2_ERROR_SOCKET_DISCONNECT || code == LIBSSH2_ERROR_SOCKET_RECV ||
         code == LIBSSH2_ERROR_SOCKET_SEND;
}

bool is_server_refusal(int code) {
  return is_disconnect(code) || code == LIBSSH2_ERROR_AUTHENTICATION_FAILED ||
         code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED;
}

bool is_rsa(std::string_view blob) { return key_type(blob) == "ssh-rsa"; }

/// By which a key of that type may sign here: RSA keys have several ways.
std::vector<std::string> algorithms_of(std::string_view type) {
  constexpr std::string_view certificate = "-cert-v01@openssh.com";
  std::vector<std::string> algorithms{std::string(type)};
  if (!type.starts_with("ssh-rsa") || !has_modern_rsa) return algorithms;
  for (const std::string modern : {"rsa-sha2-512", "rsa-sha2-256"}) {
    algorithms.push_back(type.ends_with(certificate) ? modern + std::string(certificate) : modern);
  }
  return algorithms;
}

/// If libssh2 reads the key, OpenSSL tries every format, again for each login. That took longer
/// than all the rest of the login (10 of 15 million instructions with libssh2 1.10).
LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(sign_with_seed) {
  (void)session;
  const std::string_view seed = static_cast<const Secret*>(*abstract)->view();
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                   reinterpret_cast<const unsigned char*>(seed.data()),
                                   seed.size()),
      EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  std::size_t size = 64;
  // Freed by libssh2 with our allocator.
  auto* const signature = static_cast<unsigned char*>(std::malloc(size));
  if (key && context && signature != nullptr &&
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestSign(context.get(), signature, &size, data, data_len) == 1) {
    *sig = signature;
    *sig_len = size;
    return 0;
  }
  std::free(signature);
  return -1;
}

}  // namespace

Login::Login(LIBSSH2_SESSION* session, const Route& route, Context context)
    : session_(session), route_(route), context_(std::move(context)) {
  if (route.asked != SshAccess::Asked::nothing) {
    attempts_.push_back({nullptr, nullptr, false, true});
    return;
  }
  if (!route.settings.identity_agent) {
    list_attempts();
    return;
  }
  listing_ = true;
  agent_.emplace(context_.io, context_.turns, *route.settings.identity_agent);
  agent_->ask(agent_keys_request(), [this](const std::optional<std::string>& answer) {
    if (answer) agent_keys_ = parse_agent_keys(*answer);
    listing_ = false;
    list_attempts();
    context_.wake();
  });
}

void Login::list_attempts() {
  add_agent_keys();
  add_files();
  leave_out_forbidden();
  // Old servers may accept RSA keys. On new ones each attempt counts, so offer them last.
  std::stable_partition(attempts_.begin(), attempts_.end(), [](const Attempt& attempt) {
    return has_modern_rsa ||
           !(attempt.agent_key ? is_rsa(attempt.agent_key->blob) : attempt.file->is_rsa());
  });
}

void Login::add_agent_keys() {
  const auto named = [this](const AgentKey& key) {
    return std::any_of(route_.keys.begin(), route_.keys.end(),
                       [&key](const auto& file) { return file->public_blob == key.blob; });
  };
  for (const AgentKey& key : agent_keys_) {
    if (named(key)) attempts_.push_back({&key, nullptr, false, false});
  }
  if (route_.settings.identities_only) return;
  for (const AgentKey& key : agent_keys_) {
    if (!named(key)) attempts_.push_back({&key, nullptr, false, false});
  }
}

void Login::add_files() {
  for (const auto& file : route_.keys) {
    const bool in_agent =
        std::any_of(agent_keys_.begin(), agent_keys_.end(),
                    [&file](const AgentKey& key) { return key.blob == file->public_blob; });
    if (!file->text) {
      if (!in_agent) without_private_half_.push_back(file->path);
      continue;
    }
    if (!file->certificate.empty()) attempts_.push_back({nullptr, file, true, false});
    if (!in_agent) attempts_.push_back({nullptr, file, false, false});
  }
}

/// As ssh: a key that may not sign by any algorithm of PubkeyAcceptedAlgorithms is not offered.
void Login::leave_out_forbidden() {
  const AlgorithmList& accepted = route_.settings.algorithms.public_keys;
  std::erase_if(attempts_, [&](const Attempt& attempt) {
    const std::string_view type = type_of(attempt);
    const auto algorithms = algorithms_of(type);
    const bool allowed =
        type.empty() || std::any_of(algorithms.begin(), algorithms.end(), [&](const auto& name) {
          return std::find(accepted.names.begin(), accepted.names.end(), name) !=
                 accepted.names.end();
        });
    if (allowed) return false;
    unusable_.push_back(
        type == "ssh-rsa" && !has_modern_rsa && accepted.place.empty()
            ? std::string(rsa_words)
            : fmt::format("{} is not offered: the PubkeyAcceptedAlgorithms{} do not allow {}",
                          name_of(attempt),
                          accepted.place.empty() ? "" : fmt::format(" of {}", accepted.place),
                          type));
    return true;
  });
}

/// Empty: only libssh2 will know, once it has read the key.
std::string_view Login::type_of(const Attempt& attempt) {
  if (attempt.agent_key != nullptr) return key_type(attempt.agent_key->blob);
  if (attempt.with_certificate) {
    const std::string_view text = attempt.file->certificate;
    return text.substr(0, text.find_first_of(" \t\n"));
  }
  return attempt.file->is_rsa() ? "ssh-rsa" : key_type(attempt.file->public_blob);
}

std::string Login::name_of(const Attempt& attempt) {
  if (attempt.agent_key != nullptr) return attempt.agent_key->comment + " from the agent";
  return attempt.file->path + (attempt.with_certificate ? "'s certificate" : "");
}

int Login::step() {
  if (listing_) return LIBSSH2_ERROR_EAGAIN;
  while (next_ < attempts_.size() && !listing_methods_) {
    const Attempt& attempt = attempts_[next_];
    const int code = offer(attempt);
    if (code == LIBSSH2_ERROR_EAGAIN || code == 0) return code;
    note_failure(attempt, code);
    if (is_disconnect(code)) return code;
    ++next_;
  }
  listing_methods_ = true;
  const std::string& user = route_.settings.user;
  const char* const list =
      libssh2_userauth_list(session_, user.c_str(), static_cast<unsigned>(user.size()));
  if (list != nullptr) {
    server_methods_ = list;
  } else if (libssh2_session_last_errno(session_) == LIBSSH2_ERROR_EAGAIN) {
    return LIBSSH2_ERROR_EAGAIN;
  } else if (libssh2_userauth_authenticated(session_) != 0) {
    return 0;
  }
  return LIBSSH2_ERROR_AUTHENTICATION_FAILED;
}

int Login::offer(const Attempt& attempt) {
  if (attempt.password) return offer_password();
  return attempt.agent_key != nullptr ? offer_agent_key(*attempt.agent_key) : offer_file(attempt);
}

int Login::offer_agent_key(const AgentKey& key) {
  const std::string& user = route_.settings.user;
  void* self = this;
  return libssh2_userauth_publickey(session_, user.c_str(),
                                    reinterpret_cast<const unsigned char*>(key.blob.data()),
                                    key.blob.size(), sign_by_agent, &self);
}

/// libssh2 calls it again as long as it returns EAGAIN.
LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(Login::sign_by_agent) {
  (void)session;
  auto* const self = static_cast<Login*>(*abstract);
  if (self->agent_->asking()) return LIBSSH2_ERROR_EAGAIN;
  if (!std::exchange(self->signing_, true)) {
    const AgentKey& key = *self->attempts_[self->next_].agent_key;
    const std::string_view text(reinterpret_cast<const char*>(data), data_len);
    self->agent_->ask(agent_signature_request(key.blob, text),
                      [self](const std::optional<std::string>& answer) {
                        self->signature_ = answer ? parse_agent_signature(*answer) : std::nullopt;
                        self->context_.wake();
                      });
    return LIBSSH2_ERROR_EAGAIN;
  }
  self->signing_ = false;
  const auto signature = std::exchange(self->signature_, std::nullopt);
  if (!signature) return -1;
  // Freed by libssh2 with our allocator.
  *sig = static_cast<unsigned char*>(std::malloc(signature->size()));
  if (*sig == nullptr) return -1;
  std::memcpy(*sig, signature->data(), signature->size());
  *sig_len = signature->size();
  return 0;
}

std::string Login::waits_for() const {
  if (!asks_agent()) return {};
  return fmt::format("; the agent at {} has not answered", agent_->socket());
}

int Login::offer_file(const Attempt& attempt) {
  const KeyFile& file = *attempt.file;
  const std::string& user = route_.settings.user;
  if (file.seed && !attempt.with_certificate) {
    void* key = const_cast<Secret*>(file.seed.get());
    return libssh2_userauth_publickey(
        session_, user.c_str(), reinterpret_cast<const unsigned char*>(file.public_blob.data()),
        file.public_blob.size(), sign_with_seed, &key);
  }
  const auto passphrase = Passphrases::of_process().passphrase(file);
  has_passphrase_ = passphrase != nullptr;
  if (file.encrypted && !passphrase) return LIBSSH2_ERROR_KEYFILE_AUTH_FAILED;
  const std::string_view key = file.text->view();
  const std::string& known = attempt.with_certificate ? file.certificate : file.public_line;
  return libssh2_userauth_publickey_frommemory(
      session_, user.c_str(), user.size(), known.empty() ? nullptr : known.c_str(), known.size(),
      key.data(), key.size(), passphrase ? passphrase->view().data() : nullptr);
}

int Login::offer_password() {
  const auto password = Passphrases::of_process().password(route_);
  if (!password) return LIBSSH2_ERROR_KEYFILE_AUTH_FAILED;
  const std::string& user = route_.settings.user;
  if (route_.asked == SshAccess::Asked::keyboard_interactive) {
    static_cast<SessionNotes*>(*libssh2_session_abstract(session_))->login = this;
    return libssh2_userauth_keyboard_interactive_ex(
        session_, user.c_str(), static_cast<unsigned>(user.size()), answer_prompts);
  }
  return libssh2_userauth_password_ex(session_, user.c_str(), static_cast<unsigned>(user.size()),
                                      password->view().data(),
                                      static_cast<unsigned>(password->view().size()), nullptr);
}

/// Answers each prompt without echo with the password, and the others with nothing.
LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(Login::answer_prompts) {
  (void)name;
  (void)name_len;
  (void)instruction;
  (void)instruction_len;
  const auto* const self = static_cast<const SessionNotes*>(*abstract)->login;
  const auto password = Passphrases::of_process().password(self->route_);
  for (int i = 0; i < num_prompts; ++i) {
    if (prompts[i].echo != 0 || !password) continue;
    // Freed by libssh2 with our allocator, which wipes it.
    auto* const text = static_cast<char*>(std::malloc(password->view().size() + 1));
    if (text == nullptr) continue;
    std::memcpy(text, password->view().data(), password->view().size() + 1);
    responses[i].text = text;
    responses[i].length = static_cast<unsigned>(password->view().size());
  }
}

void Login::note_failure(const Attempt& attempt, int code) {
  server_message_ = last_error_text(session_);
  if (attempt.password) {
    offered_.emplace_back("the password");
    if (code == LIBSSH2_ERROR_KEYFILE_AUTH_FAILED) {
      unusable_.emplace_back("no password: there is no terminal to ask on, or none was typed");
    } else {
      Passphrases::of_process().forget_password(route_);
    }
    return;
  }
  const bool rsa = attempt.agent_key ? is_rsa(attempt.agent_key->blob) : attempt.file->is_rsa();
  const std::string name = name_of(attempt);
  if (rsa && !has_modern_rsa) {
    unusable_.emplace_back(rsa_words);
  } else if (attempt.agent_key != nullptr && server_message_ == signing_failed) {
    unusable_.push_back(
        fmt::format("the agent refuses to sign with {}", attempt.agent_key->comment));
  } else if (!attempt.file || (is_server_refusal(code) && server_message_ != signing_failed)) {
    offered_.push_back(name);
  } else if (!attempt.file->encrypted) {
    unusable_.push_back(
        fmt::format("{} cannot be used as a private key ({})", name, server_message_));
  } else if (has_passphrase_) {
    unusable_.push_back(fmt::format("the typed passphrase does not decrypt {}", name));
    Passphrases::of_process().forget_passphrase(*attempt.file);
  } else {
    Passphrases::of_process().forget_passphrase(*attempt.file);
    unusable_.push_back(fmt::format(
        "{} is encrypted, and its passphrase was not typed; {}", name,
        agent_keys_.empty() ? "run ssh-add, or start from a terminal"
                            : "run ssh-add; Stillgate does not ask for it when the agent has keys "
                              "to offer, unless 'IdentitiesOnly yes' excludes them"));
  }
}

Error Login::refusal() const {
  const std::string name = route_.name();
  const std::string takes =
      server_methods_.empty() ? "" : fmt::format("; it would accept {}", server_methods_);
  std::vector<std::string> reasons = unusable_;
  reasons.insert(reasons.end(), route_.unread.begin(), route_.unread.end());
  for (const std::string& path : without_private_half_) {
    reasons.push_back(
        fmt::format("only the public half of {} is here, and no agent has the key", path));
  }
  if (attempts_.empty() && reasons.empty()) {
    return failure(Errc::ssh_auth_failed, name,
                   "no key to offer: no agent, and none of the key files exists" + takes);
  }
  reasons.erase(std::unique(reasons.begin(), reasons.end()), reasons.end());
  if (offered_.empty() || (route_.asked != SshAccess::Asked::nothing && !reasons.empty())) {
    return failure(Errc::ssh_key_unusable, name, fmt::format("{}", fmt::join(reasons, "; ")));
  }
  std::string words =
      fmt::format("the server did not accept {}{}", fmt::join(offered_, ", "), takes);
  if (!reasons.empty()) words += fmt::format("; {}", fmt::join(reasons, "; "));
  return failure(Errc::ssh_auth_failed, name, words, server_message_);
}

}  // namespace stillgate::transport::ssh
