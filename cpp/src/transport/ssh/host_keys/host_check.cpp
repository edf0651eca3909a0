// Checking host keys against known_hosts and RevokedHostKeys.
#include "host_check.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <sys/stat.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <libssh2.h>

#include "revoked_keys.hpp"
#include "transport/ssh/base/failure.hpp"
#include "transport/ssh/base/library.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::string_view rsa_host_keys =
    " (libssh2 " LIBSSH2_VERSION " cannot use the RSA keys of OpenSSH 8.8 and later)";

std::vector<std::string> names_of(const Settings& settings) {
  return lookup_names(settings.host_name, settings.port, settings.host_key_alias);
}

/// The type of a key that signs by this algorithm: RSA keys have several.
std::string_view key_type_of(std::string_view algorithm) {
  return algorithm.starts_with("rsa-sha2-") ? "ssh-rsa" : algorithm;
}

/// Path, inode, size and time of change of each file: other text, other stamp.
std::string stamp_of(const std::vector<std::string>& files) {
  std::string stamp;
  for (const std::string& file : files) {
    struct stat status {};
    const bool there = ::stat(file.c_str(), &status) == 0;
    stamp += fmt::format("{} {} {} {}.{}\n", file, there ? status.st_ino : 0, status.st_size,
                         status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
  }
  return stamp;
}

/// Such as /dev/null: a key written there is lost.
bool is_no_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

Error refused(Errc code, std::string_view server, std::string_view blob, const std::string& why) {
  return failure(code, server,
                 fmt::format("its {} host key {} {}", key_type(blob), fingerprint(blob), why));
}

/// Reads the file once, where it can be understood and was not changed since. Thread-safe.
std::shared_ptr<const RevokedKeys> revoked_keys_of(const std::string& file) {
  struct Kept {
    std::string stamp;
    std::shared_ptr<const RevokedKeys> keys;
  };
  static std::mutex mutex;
  static std::map<std::string, Kept> all;
  const std::scoped_lock lock(mutex);
  const std::string now = stamp_of({file});
  Kept& kept = all[file];
  // A read error, such as too many open files, may be over although the stamp is the same.
  if (!kept.keys || kept.stamp != now || !kept.keys->fault().empty()) {
    kept = {now, std::make_shared<const RevokedKeys>(RevokedKeys::load(file))};
  }
  return kept.keys;
}

std::optional<Error> check_not_revoked(const Settings& settings, std::string_view server,
                                       std::string_view blob) {
  for (const std::string& file : settings.revoked_host_keys) {
    const auto keys = revoked_keys_of(file);
    if (const auto line = keys->find(blob)) {
      return refused(Errc::ssh_host_key_revoked, server, blob,
                     *line == 0 ? fmt::format("is revoked by {}", file)
                                : fmt::format("is revoked at {}:{}", file, *line));
    }
    if (keys->fault().empty()) continue;
    return refused(Errc::ssh_config, server, blob,
                   fmt::format("is not accepted, and no other key is: {}, the RevokedHostKeys of "
                               "{}: {}; correct the file, or remove that line",
                               file, settings.revoked_host_keys_place, keys->fault()));
  }
  return std::nullopt;
}

}  // namespace

std::shared_ptr<const KnownHosts> known_hosts_of(const Settings& settings) {
  static std::mutex mutex;
  static std::string stamp;
  static std::shared_ptr<const KnownHosts> kept;
  std::vector<std::string> files = settings.user_known_hosts_files;
  files.insert(files.end(), settings.global_known_hosts_files.begin(),
               settings.global_known_hosts_files.end());
  const std::scoped_lock lock(mutex);
  const std::string now = stamp_of(files);
  // A read error, such as too many open files, may be over although the stamp is the same.
  if (!kept || stamp != now || !kept->unread().empty()) {
    kept = std::make_shared<const KnownHosts>(KnownHosts::load(files));
    stamp = now;
  }
  return kept;
}

std::vector<std::string> host_key_order(const KnownHosts& known, const Settings& settings) {
  const AlgorithmList& list = settings.algorithms.host_keys;
  std::vector<std::string> order = list.names;
  if (!list.known_hosts_first) return order;
  const auto types = known.key_types(names_of(settings).front());
  std::stable_partition(order.begin(), order.end(), [&types](const std::string& algorithm) {
    return std::find(types.begin(), types.end(), key_type_of(algorithm)) != types.end();
  });
  return order;
}

std::optional<Error> check_host_key(const KnownHosts& known, const Settings& settings,
                                    std::string_view server, std::string_view blob) {
  // As ssh: before all else, so that no known_hosts can vouch for such a key, or come to.
  if (auto error = check_not_revoked(settings, server, blob)) return error;
  using Verdict = KnownHosts::Verdict;
  const auto names = names_of(settings);
  const auto found = known.check(names, blob);
  const std::string where = fmt::format("{}:{}", found.file, found.line);
  switch (found.verdict) {
    case Verdict::known:
      return std::nullopt;
    case Verdict::revoked:
      return refused(Errc::ssh_host_key_revoked, server, blob, "is revoked at " + where);
    case Verdict::changed:
      return refused(
          Errc::ssh_host_key_changed, server, blob,
          fmt::format("is not the key at {}: the host was installed again, or somebody intercepts "
                      "the connection; find out which before you change that line",
                      where));
    case Verdict::other_type:
      return refused(
          Errc::ssh_host_key_changed, server, blob,
          fmt::format("is unknown, but {} has a key of another type, which the host does not "
                      "offer{}; compare this one with the host's own, then add it to that file",
                      where, has_modern_rsa ? "" : rsa_host_keys));
    case Verdict::unknown:
      break;
  }
  if (!known.unread().empty()) {
    return refused(
        Errc::ssh_host_key_unknown, server, blob,
        fmt::format("is unknown for {}, but not all files of known hosts can be read: {}",
                    names.front(), fmt::join(known.unread(), "; ")));
  }
  const bool accepts = settings.host_key_checking == HostKeyChecking::accept_new ||
                       settings.host_key_checking == HostKeyChecking::no;
  if (!accepts || settings.user_known_hosts_files.empty()) {
    return refused(Errc::ssh_host_key_unknown, server, blob,
                   fmt::format("is unknown for {}; compare it with the host's own, then log in "
                               "once with ssh, or set 'StrictHostKeyChecking accept-new'",
                               names.front()));
  }
  const std::string& file = settings.user_known_hosts_files.front();
  if (is_no_file(file)) {
    return refused(Errc::ssh_host_key_unknown, server, blob,
                   fmt::format("is unknown for {}, and cannot be stored in {}, so any key would be "
                               "accepted; name a plain file as UserKnownHostsFile",
                               names.front(), file));
  }
  return append_known_hosts_line(file,
                                 known_hosts_line(names.front(), blob, settings.hash_known_hosts));
}

}  // namespace stillgate::transport::ssh
