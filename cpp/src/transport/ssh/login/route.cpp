// Finds the route to an SSH server: ssh_config, jump hosts, keys.
#include "route.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <netdb.h>
#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace stillgate::transport::ssh {
namespace {

/// Ends a chain of jump hosts that leads to itself.
constexpr unsigned max_jump_depth = 8;

std::optional<std::string> variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

LocalContext local_context() {
  LocalContext found;
  found.uid = ::getuid();
  found.environment = variable;
  found.agent = variable("SSH_AUTH_SOCK");
  std::array<char, 4096> room{};
  passwd entry{};
  passwd* who = nullptr;
  // As ssh does: the user's home folder, not $HOME.
  if (::getpwuid_r(found.uid, &entry, room.data(), room.size(), &who) == 0 && who != nullptr) {
    found.home = who->pw_dir;
    found.user = who->pw_name;
  }
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) found.local_host = name.data();
  return found;
}

Destination to_destination(const SshHop& hop) { return {hop.host, hop.user, hop.port}; }

std::string unreadable(std::string_view what, const std::string& path, const files::Fault& fault) {
  return fmt::format("the {} {} cannot be read: {}", what, path, fault.why);
}

std::string spelled(const Destination& destination) {
  return fmt::format("{}@{}:{}", destination.user.value_or(""), destination.host,
                     destination.port.value_or(0));
}

}  // namespace

std::string Route::name() const {
  return fmt::format("{}@{}:{}", settings.user, settings.host_name, settings.port);
}

std::string Route::place() const {
  const std::string address = fmt::format("{}:{}", settings.host_name, settings.port);
  return via ? fmt::format("{} via {}", address, via->name()) : address;
}

std::string Route::key() const {
  std::string text = fmt::format("{} {} {} {} {} {}", name(), settings.host_key_alias,
                                 settings.identity_agent.value_or(""), settings.identities_only,
                                 settings.proxy_command, static_cast<int>(asked));
  for (const auto& key_file : keys) text += fmt::format(" {}", key_file->path);
  for (const std::string& file : settings.user_known_hosts_files) text += fmt::format(" {}", file);
  for (const std::string& file : settings.global_known_hosts_files) {
    text += fmt::format(" {}", file);
  }
  text += fmt::format(" {} {} {}", static_cast<int>(settings.host_key_checking),
                      fmt::join(settings.revoked_host_keys, " "), settings.address_family);
  const Algorithms& algorithms = settings.algorithms;
  for (const auto* list : {&algorithms.key_exchanges, &algorithms.host_keys, &algorithms.ciphers,
                           &algorithms.macs, &algorithms.public_keys}) {
    text += fmt::format(" {}", fmt::join(list->names, ","));
  }
  return via ? fmt::format("{} via {}", text, via->key()) : text;
}

Routes::Routes() : local_(local_context()) {}

Result<std::shared_ptr<const Route>> Routes::find(const Endpoint& endpoint) {
  const SshAccess& access = endpoint.access();
  std::vector<Destination> jumps;
  for (const SshHop& hop : access.jumps) jumps.push_back(to_destination(hop));
  return find(to_destination(endpoint.server()), access, jumps.empty() ? nullptr : &jumps, 0);
}

Result<const Config*> Routes::config(const std::string& which) {
  if (const auto found = configs_.find(which); found != configs_.end()) return &found->second;
  std::vector<std::filesystem::path> files;
  if (which.empty()) {
    files = {local_.home + "/.ssh/config", "/etc/ssh/ssh_config"};
  } else if (which != "none") {
    // The reader ignores a missing file; here it was named, so it is an error.
    if (::access(which.c_str(), R_OK) != 0) {
      return Error{Errc::ssh_config,
                   fmt::format("{}: {}", which, std::system_category().message(errno))};
    }
    files = {which};
  }
  auto loaded = Config::load(files, local_);
  if (!loaded) return loaded.error();
  return &configs_.emplace(which, *std::move(loaded)).first->second;
}

/// `jumps`: the hops that replace ssh_config's own; null if nothing does.
Routes::Found Routes::find(const Destination& destination, const SshAccess& access,
                           const std::vector<Destination>* jumps, unsigned depth) {
  if (depth > max_jump_depth) {
    return Error{Errc::ssh_config,
                 fmt::format("the jump hosts form a circle, at {}", spelled(destination))};
  }
  const auto known = config(access.config);
  if (!known) return known.error();
  auto settings = (*known)->settings(destination, local_);
  if (!settings) return settings.error();
  auto route = std::make_shared<Route>();
  route->settings = *std::move(settings);
  // What the endpoint asks for is asked at its own server; jump hosts are logged in to by keys.
  route->asked = depth == 0 ? access.asked : SshAccess::Asked::nothing;
  if (auto error = add_keys(access, *route)) return *std::move(error);
  std::vector<Destination> chain = jumps != nullptr ? *jumps : route->settings.jumps;
  if (jumps != nullptr) route->settings.proxy_command.clear();
  if (!chain.empty()) {
    const Destination last = std::move(chain.back());
    chain.pop_back();
    // As with ssh: the hops before it replace its own ProxyJump; the first hop keeps its own.
    auto via = find(last, access, chain.empty() ? nullptr : &chain, depth + 1);
    if (!via) return via.error();
    route->via = *std::move(via);
  }
  return std::shared_ptr<const Route>(std::move(route));
}

std::optional<Error> Routes::add_keys(const SshAccess& access, Route& route) {
  for (const std::string& path : access.identities) {
    auto found = key(path);
    if (!found) return Error{Errc::ssh_key_unusable, unreadable("key", path, found.fault)};
    route.keys.push_back(*std::move(found));
  }
  for (const std::string& path : route.settings.identity_files) {
    auto found = key(path);
    if (found) {
      route.keys.push_back(*std::move(found));
    } else if (!found.fault.is_missing()) {
      route.unread.push_back(unreadable("key", path, found.fault));
    }
  }
  for (const std::string& path : route.settings.certificate_files) {
    const auto file = files::read_file(path);
    if (!file && !file.fault.is_missing()) {
      route.unread.push_back(unreadable("certificate", path, file.fault));
    }
    if (!file) continue;
    for (auto& key_file : route.keys) {
      if (!key_file->certificate.empty()) continue;
      auto certified = std::make_shared<KeyFile>(*key_file);
      certified->certificate = file->text;
      key_file = std::move(certified);
    }
  }
  return std::nullopt;
}

files::Read<std::shared_ptr<const KeyFile>> Routes::key(const std::string& path) {
  auto& kept = keys_[path];
  if (!kept) {
    auto read = read_key_file(path);
    if (!read) return {std::nullopt, std::move(read.fault)};
    if (const auto beside = files::read_file(path + "-cert.pub")) read->certificate = beside->text;
    kept = std::make_shared<const KeyFile>(*std::move(read));
  }
  return {kept, {}};
}

}  // namespace stillgate::transport::ssh
