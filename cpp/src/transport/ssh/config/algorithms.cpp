// OpenSSH 10's tables, with the names that 10.6 has added and the DSA keys that 10 has no more.
#include "algorithms.hpp"

#include <algorithm>

#include "pattern.hpp"

namespace stillgate::transport::ssh {
namespace {

// In the order in which `ssh -Q` lists them: that of a list made by a pattern.
constexpr std::string_view key_exchanges =
    "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,"
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
    "diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,"
    "ecdh-sha2-nistp384,ecdh-sha2-nistp521,mlkem768nistp256-sha256,curve25519-sha256,"
    "curve25519-sha256@libssh.org,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"
    "mlkem768x25519-sha256";
constexpr std::string_view default_key_exchanges =
    "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
    "ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,"
    "diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";

constexpr std::string_view keys =
    "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,"
    "sk-ssh-ed25519-cert-v01@openssh.com,ssh-mldsa44-ed25519,ssh-mldsa44-ed25519-cert,"
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,"
    "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,"
    "ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,"
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,"
    "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "ssh-dss,ssh-dss-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com,rsa-sha2-256,"
    "rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com";
constexpr std::string_view default_keys =
    "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
    "sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,"
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,"
    "sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";

constexpr std::string_view ciphers =
    "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc,aes128-ctr,aes192-ctr,aes256-ctr,"
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com";
constexpr std::string_view default_ciphers =
    "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,"
    "aes192-ctr,aes256-ctr";

constexpr std::string_view macs =
    "hmac-sha1,hmac-sha1-96,hmac-sha2-256,hmac-sha2-512,hmac-md5,hmac-md5-96,umac-64@openssh.com,"
    "umac-128@openssh.com,hmac-sha1-etm@openssh.com,hmac-sha1-96-etm@openssh.com,"
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-md5-etm@openssh.com,"
    "hmac-md5-96-etm@openssh.com,umac-64-etm@openssh.com,umac-128-etm@openssh.com";
constexpr std::string_view default_macs =
    "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,"
    "hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,"
    "umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1";

struct Tables {
  std::string_view all;
  std::string_view defaults;
};

Tables tables_of(AlgorithmKind kind) {
  switch (kind) {
    case AlgorithmKind::key_exchange:
      return {key_exchanges, default_key_exchanges};
    case AlgorithmKind::cipher:
      return {ciphers, default_ciphers};
    case AlgorithmKind::mac:
      return {macs, default_macs};
    case AlgorithmKind::host_key:
    case AlgorithmKind::public_key:
      break;
  }
  return {keys, default_keys};
}

/// Up to the first empty one, which to ssh is the end.
std::vector<std::string_view> names_in(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty() && list.front() != ',') {
    const std::string_view name = list.substr(0, list.find(','));
    names.push_back(name);
    list.remove_prefix(std::min(name.size() + 1, list.size()));
  }
  return names;
}

bool contains(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool known_key(std::string_view name) {
  // ssh accepts an exclusion when it reads it, and fails where it uses it.
  if (name.starts_with('!')) return false;
  const auto all = names_in(keys);
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& key) { return matches(key, name, Case::exact); });
}

void append(std::vector<std::string>& names, std::string_view name) {
  if (!contains(names, name)) names.emplace_back(name);
}

}  // namespace

bool valid_algorithms(AlgorithmKind kind, std::string_view list) {
  if (list.starts_with('-')) return true;
  if (list.starts_with('+') || list.starts_with('^')) list.remove_prefix(1);
  const auto names = names_in(list);
  const bool key = kind == AlgorithmKind::host_key || kind == AlgorithmKind::public_key;
  const auto all = names_in(tables_of(kind).all);
  return !list.empty() && std::all_of(names.begin(), names.end(), [&](std::string_view name) {
    return key ? known_key(name) : contains(all, name);
  });
}

std::vector<std::string> assemble_algorithms(AlgorithmKind kind, std::string_view list) {
  const auto tables = tables_of(kind);
  const auto defaults = names_in(tables.defaults);
  std::vector<std::string> names;
  const auto append_defaults = [&] {
    for (const std::string_view name : defaults) append(names, name);
  };
  if (list.starts_with('-')) {
    for (const std::string_view name : defaults) {
      if (!matches_list(name, list.substr(1), Case::exact)) append(names, name);
    }
    return names;
  }
  if (list.empty() || list.starts_with('+')) append_defaults();
  const auto all = names_in(tables.all);
  const bool prefixed = list.starts_with('+') || list.starts_with('^');
  for (const std::string_view pattern : names_in(list.substr(prefixed ? 1 : 0))) {
    for (const std::string_view name : all) {
      if (matches(name, pattern, Case::exact)) append(names, name);
    }
  }
  if (list.starts_with('^')) append_defaults();
  return names;
}

}  // namespace stillgate::transport::ssh
