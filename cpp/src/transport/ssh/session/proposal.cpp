// OpenSSH's lists, cut down to what libssh2 has, and compared with a server's.
#include "proposal.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "transport/ssh/base/failure.hpp"

namespace stillgate::transport::ssh {
namespace {

/// A server may offer thousands.
constexpr std::size_t most_shown = 400;

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ","));
}

/// Names are printable ASCII (RFC 4251, section 6); a terminal sees nothing else of them.
std::string shown(std::string_view list) {
  std::string text(list.substr(0, most_shown));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; }, '?');
  if (list.size() > most_shown) text += "...";
  return text.empty() ? "none" : text;
}

/// libssh2 has a MAC of its own in it, so that no other is agreed upon.
bool authenticates(std::string_view cipher) {
  return cipher == "chacha20-poly1305@openssh.com" || cipher.find("-gcm@") != std::string::npos;
}

bool has(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::string_view next = list.substr(0, list.find(','));
    if (next == name) return true;
    list.remove_prefix(std::min(next.size() + 1, list.size()));
  }
  return false;
}

/// The first of ours that the server has; empty: none.
std::string_view common(const std::vector<std::string>& ours, std::string_view theirs) {
  const auto found = std::find_if(ours.begin(), ours.end(),
                                  [&](const std::string& name) { return has(theirs, name); });
  return found == ours.end() ? std::string_view() : std::string_view(*found);
}

std::string lacking(std::string_view what, std::string_view keyword, std::string_view advice,
                    const std::vector<std::string>& ours, std::string_view theirs) {
  return fmt::format("no {} in common: the server offers {}; libssh2 " LIBSSH2_VERSION
                     " and the {} of ssh_config leave {}; {}",
                     what, shown(theirs), keyword, shown(joined(ours)), advice);
}

}  // namespace

Result<Proposal> make_proposal(const Settings& settings, const std::vector<std::string>& host_keys,
                               const SupportedAlgorithms& supported, std::string_view server) {
  Proposal proposal{settings.algorithms.key_exchanges.names, host_keys,
                    settings.algorithms.ciphers.names, settings.algorithms.macs.names};
  // libssh2 up to 1.11.1 can read and write beyond its buffers in AES-GCM (its issue 1491). By
  // itself it is for a server that has nothing else.
  if (settings.algorithms.ciphers.place.empty()) {
    std::stable_partition(proposal.ciphers.begin(), proposal.ciphers.end(),
                          [](const auto& name) { return name.find("-gcm@") == std::string::npos; });
  }
  struct Part {
    std::vector<std::string>& names;
    const std::vector<std::string>& supported;
    const AlgorithmList& list;
    std::string_view keyword;
  };
  for (const Part& part :
       {Part{proposal.key_exchanges, supported.key_exchanges, settings.algorithms.key_exchanges,
             "KexAlgorithms"},
        Part{proposal.host_keys, supported.host_keys, settings.algorithms.host_keys,
             "HostKeyAlgorithms"},
        Part{proposal.ciphers, supported.ciphers, settings.algorithms.ciphers, "Ciphers"},
        Part{proposal.macs, supported.macs, settings.algorithms.macs, "MACs"}}) {
    std::erase_if(part.names, [&part](const std::string& name) {
      return std::find(part.supported.begin(), part.supported.end(), name) == part.supported.end();
    });
    if (!part.names.empty()) continue;
    return failure(
        Errc::ssh_key_exchange, server,
        fmt::format("the {} of {} allow nothing that libssh2 " LIBSSH2_VERSION " has, which is {}",
                    part.keyword, part.list.place, joined(part.supported)));
  }
  return proposal;
}

void apply(const Proposal& proposal, const Settings& settings, LIBSSH2_SESSION* session) {
  const auto prefer = [session](int method, const std::vector<std::string>& names) {
    libssh2_session_method_pref(session, method, joined(names).c_str());
  };
  prefer(LIBSSH2_METHOD_KEX, proposal.key_exchanges);
  prefer(LIBSSH2_METHOD_HOSTKEY, proposal.host_keys);
  prefer(LIBSSH2_METHOD_CRYPT_CS, proposal.ciphers);
  prefer(LIBSSH2_METHOD_CRYPT_SC, proposal.ciphers);
  prefer(LIBSSH2_METHOD_MAC_CS, proposal.macs);
  prefer(LIBSSH2_METHOD_MAC_SC, proposal.macs);
#ifdef LIBSSH2_METHOD_SIGN_ALGO
  prefer(LIBSSH2_METHOD_SIGN_ALGO, settings.algorithms.public_keys.names);
#else
  (void)settings;
#endif
}

std::string mismatch(const Proposal& proposal, const KexInit& server) {
  if (common(proposal.key_exchanges, server.key_exchanges).empty()) {
    return lacking("key exchange", "KexAlgorithms", "add one to the server's KexAlgorithms",
                   proposal.key_exchanges, server.key_exchanges);
  }
  if (common(proposal.host_keys, server.host_keys).empty()) {
    return lacking("host key algorithm", "HostKeyAlgorithms",
                   "give the server an ed25519 or ecdsa host key", proposal.host_keys,
                   server.host_keys);
  }
  struct Direction {
    std::string_view ciphers;
    std::string_view macs;
    std::string_view compressions;
  };
  for (const Direction& direction :
       {Direction{server.ciphers_to_server, server.macs_to_server, server.compressions_to_server},
        Direction{server.ciphers_to_client, server.macs_to_client,
                  server.compressions_to_client}}) {
    const std::string_view cipher = common(proposal.ciphers, direction.ciphers);
    if (cipher.empty()) {
      return lacking("cipher", "Ciphers", "add one to the server's Ciphers", proposal.ciphers,
                     direction.ciphers);
    }
    if (!authenticates(cipher) && common(proposal.macs, direction.macs).empty()) {
      return lacking("MAC", "MACs", "add one to the server's MACs", proposal.macs, direction.macs);
    }
    if (common({"none"}, direction.compressions).empty()) {
      return fmt::format("the server accepts no connection without compression: it offers {}",
                         shown(direction.compressions));
    }
  }
  return {};
}

}  // namespace stillgate::transport::ssh
