// Expanding the chosen values and filling in what ssh takes where none was chosen.
#include "resolve.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/socket.h>

#include "expansion.hpp"
#include "pattern.hpp"
#include "values.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::uint16_t ssh_port = 22;
// Of OpenSSH's those whose types libssh2 can sign with.
constexpr std::array default_identity_files{"~/.ssh/id_rsa", "~/.ssh/id_ecdsa",
                                            "~/.ssh/id_ed25519"};
constexpr std::array default_user_known_hosts{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"};
constexpr std::array default_global_known_hosts{"/etc/ssh/ssh_known_hosts",
                                                "/etc/ssh/ssh_known_hosts2"};

bool gathers(Keyword keyword) {
  return keyword == Keyword::identity_file || keyword == Keyword::certificate_file;
}

bool is_none(std::string_view text) { return lower(text) == "none"; }

/// Fills the Settings; the first error stays and ends it.
class Resolution {
 public:
  Resolution(const EffectiveLines& lines, const LocalContext& local, bool user_given,
             Settings& settings)
      : lines_(lines), local_(local), user_given_(user_given), settings_(settings) {}

  std::optional<Error> run() {
    choose_flags();
    fill_tokens();
    choose_user();
    choose_identity_files();
    paths_of(lines_.all(Keyword::certificate_file), settings_.certificate_files);
    choose_agent();
    known_hosts(Keyword::user_known_hosts_file, default_user_known_hosts,
                settings_.user_known_hosts_files);
    known_hosts(Keyword::global_known_hosts_file, default_global_known_hosts,
                settings_.global_known_hosts_files);
    choose_revoked_keys();
    choose_proxy();
    choose_algorithms();
    return error_;
  }

 private:
  [[nodiscard]] const std::string* value(Keyword keyword) const {
    const Directive* const directive = lines_.first(keyword);
    return directive == nullptr ? nullptr : &directive->arguments[0];
  }

  std::string kept(Result<std::string> result) {
    if (result) return *std::move(result);
    if (!error_) error_ = result.error();
    return {};
  }

  void choose_flags() {
    if (const auto* alias = value(Keyword::host_key_alias))
      settings_.host_key_alias = lower(*alias);
    if (const auto* flag = value(Keyword::identities_only)) {
      settings_.identities_only = parse_flag(*flag).value_or(false);
    }
    if (const auto* flag = value(Keyword::hash_known_hosts)) {
      settings_.hash_known_hosts = parse_flag(*flag).value_or(false);
    }
    if (const auto* checking = value(Keyword::strict_host_key_checking)) {
      settings_.host_key_checking = parse_checking(*checking).value_or(HostKeyChecking::ask);
    }
    if (const auto* time = value(Keyword::connect_timeout)) {
      settings_.connect_timeout = parse_time(*time);
      if (settings_.connect_timeout == std::chrono::seconds(0)) settings_.connect_timeout.reset();
    }
    if (const auto* family = value(Keyword::address_family)) {
      settings_.address_family = parse_family(*family).value_or(AF_UNSPEC);
    }
  }

  void choose_revoked_keys() {
    const Directive* const directive = lines_.first(Keyword::revoked_host_keys);
    if (directive == nullptr || is_none(directive->arguments[0])) return;
    for (const auto& path : directive->arguments) {
      settings_.revoked_host_keys.push_back(
          kept(expand_path(path, tokens_, local_, directive->place)));
    }
    settings_.revoked_host_keys_place =
        fmt::format("{}:{}", *directive->place.file, directive->place.line);
  }

  void fill_tokens() {
    const std::string& local = local_.local_host;
    proxy_tokens_ = {
        {'h', settings_.host_name}, {'n', settings_.host}, {'p', std::to_string(settings_.port)}};
    tokens_ = proxy_tokens_;
    tokens_['d'] = local_.home;
    tokens_['i'] = std::to_string(local_.uid);
    tokens_['k'] = settings_.host_key_alias.empty() ? settings_.host : settings_.host_key_alias;
    tokens_['l'] = local;
    tokens_['L'] = local.substr(0, local.find('.'));
    tokens_['u'] = local_.user;
    // Of several jump hosts ssh means the last one.
    const auto* const jumps = value(Keyword::proxy_jump);
    const auto hops = jumps == nullptr ? std::nullopt : parse_jumps(*jumps);
    tokens_['j'] = hops && !hops->empty() ? hops->back().host : "";
  }

  /// Of the URL or a jump it is taken as it is.
  void choose_user() {
    const Directive* const directive = lines_.first(Keyword::user);
    if (!user_given_ && directive != nullptr) {
      settings_.user =
          kept(expand_text(directive->arguments[0], tokens_, local_, directive->place));
    }
    tokens_['r'] = proxy_tokens_['r'] = settings_.user;
  }

  void paths_of(const std::vector<const Directive*>& directives, std::vector<std::string>& paths) {
    for (const Directive* const directive : directives) {
      if (is_none(directive->arguments[0])) continue;
      paths.push_back(
          kept(expand_path(directive->arguments[0], tokens_, local_, directive->place)));
    }
  }

  std::string at_home(std::string_view path) const {
    return local_.home + std::string(path.substr(1));
  }

  void choose_identity_files() {
    const auto named = lines_.all(Keyword::identity_file);
    settings_.identity_files_named = !named.empty();
    paths_of(named, settings_.identity_files);
    if (!named.empty()) return;
    for (const std::string_view path : default_identity_files) {
      settings_.identity_files.push_back(at_home(path));
    }
  }

  void choose_agent() {
    const Directive* const directive = lines_.first(Keyword::identity_agent);
    const std::string agent = directive == nullptr ? "SSH_AUTH_SOCK" : directive->arguments[0];
    if (agent == "none") return;
    if (agent == "SSH_AUTH_SOCK") {
      settings_.identity_agent = local_.agent;
    } else if (agent.starts_with('$') && !agent.starts_with("${")) {
      if (local_.environment) {
        settings_.identity_agent = local_.environment(agent.substr(1));
      }
    } else {
      settings_.identity_agent = kept(expand_path(agent, tokens_, local_, directive->place));
    }
    if (settings_.identity_agent == "") settings_.identity_agent.reset();
  }

  void known_hosts(Keyword keyword, const std::array<const char*, 2>& otherwise,
                   std::vector<std::string>& paths) {
    const Directive* const directive = lines_.first(keyword);
    if (directive == nullptr) {
      for (const std::string_view path : otherwise) {
        paths.push_back(path.starts_with('~') ? at_home(path) : std::string(path));
      }
      return;
    }
    if (is_none(directive->arguments[0])) return;
    for (const auto& path : directive->arguments) {
      paths.push_back(kept(keyword == Keyword::user_known_hosts_file
                               ? expand_path(path, tokens_, local_, directive->place)
                               : expand_home(path, local_, directive->place)));
    }
  }

  void choose_proxy() {
    const Directive* const command = lines_.first(Keyword::proxy_command);
    if (command != nullptr && !is_none(command->arguments[0])) {
      settings_.proxy_command =
          kept(expand_tokens(command->arguments[0], proxy_tokens_, command->place));
    }
    const Directive* const jump = lines_.first(Keyword::proxy_jump);
    if (jump == nullptr) return;
    settings_.jumps = parse_jumps(jump->arguments[0]).value_or(std::vector<Destination>());
    for (Destination& hop : settings_.jumps) {
      hop.host = kept(expand_tokens(hop.host, proxy_tokens_, jump->place));
      if (hop.user) hop.user = kept(expand_tokens(*hop.user, proxy_tokens_, jump->place));
    }
  }

  void choose_algorithms() {
    Algorithms& chosen = settings_.algorithms;
    choose(chosen.key_exchanges, AlgorithmKind::key_exchange, Keyword::kex_algorithms);
    choose(chosen.host_keys, AlgorithmKind::host_key, Keyword::host_key_algorithms);
    choose(chosen.ciphers, AlgorithmKind::cipher, Keyword::ciphers);
    choose(chosen.macs, AlgorithmKind::mac, Keyword::macs);
    choose(chosen.public_keys, AlgorithmKind::public_key, Keyword::pubkey_accepted_algorithms);
  }

  void choose(AlgorithmList& list, AlgorithmKind kind, Keyword keyword) {
    const Directive* const directive = lines_.first(keyword);
    const std::string text = directive == nullptr ? "" : directive->arguments[0];
    list.names = assemble_algorithms(kind, text);
    if (directive == nullptr) return;
    list.place = fmt::format("{}:{}", *directive->place.file, directive->place.line);
    // An order that is written out is kept.
    list.known_hosts_first = text.starts_with('+') || text.starts_with('-');
  }

  const EffectiveLines& lines_;
  const LocalContext& local_;
  bool user_given_;
  Settings& settings_;
  Tokens tokens_;
  Tokens proxy_tokens_;
  std::optional<Error> error_;
};

}  // namespace

void EffectiveLines::take(const Directive& directive) {
  const Keyword keyword = directive.keyword;
  const auto& value = directive.arguments;
  if (value.empty()) return;
  if (gathers(keyword)) {
    const auto [begin, end] = directives_.equal_range(keyword);
    const bool there = std::any_of(
        begin, end, [&](const auto& entry) { return entry.second->arguments[0] == value[0]; });
    if (!there) directives_.emplace(keyword, &directive);
    return;
  }
  if (directives_.contains(keyword)) return;
  // Of ProxyJump and ProxyCommand the first wins; "ProxyJump none" does not count.
  if (keyword == Keyword::proxy_jump && directives_.contains(Keyword::proxy_command)) return;
  const Directive* const jump = first(Keyword::proxy_jump);
  if (keyword == Keyword::proxy_command && jump != nullptr && !is_none(jump->arguments[0])) return;
  // "none" leaves it open to the lines below, unlike everywhere else.
  if (keyword == Keyword::connect_timeout && value[0] == "none") return;
  directives_.emplace(keyword, &directive);
}

const Directive* EffectiveLines::first(Keyword keyword) const {
  const auto found = directives_.find(keyword);
  return found == directives_.end() ? nullptr : found->second;
}

std::vector<const Directive*> EffectiveLines::all(Keyword keyword) const {
  std::vector<const Directive*> directives;
  const auto [begin, end] = directives_.equal_range(keyword);
  for (auto entry = begin; entry != end; ++entry) directives.push_back(entry->second);
  return directives;
}

Result<std::string> host_name(const EffectiveLines& lines, const Destination& destination) {
  const Directive* const directive = lines.first(Keyword::host_name);
  if (directive == nullptr) return lower(destination.host);
  const auto name =
      expand_tokens(directive->arguments[0], {{'h', destination.host}}, directive->place);
  if (!name) return name.error();
  return lower(*name);
}

std::string remote_user(const EffectiveLines& lines, const Destination& destination,
                        const LocalContext& local) {
  if (destination.user) return *destination.user;
  const Directive* const directive = lines.first(Keyword::user);
  return directive == nullptr ? local.user : directive->arguments[0];
}

Result<Settings> resolve_settings(const EffectiveLines& lines, std::string name,
                                  const Destination& destination, const LocalContext& local) {
  Settings settings;
  settings.host = destination.host;
  settings.host_name = std::move(name);
  settings.user = remote_user(lines, destination, local);
  const Directive* const port = lines.first(Keyword::port);
  settings.port = destination.port.value_or(
      port == nullptr ? ssh_port : parse_port(port->arguments[0]).value_or(ssh_port));
  if (auto error = Resolution(lines, local, destination.user.has_value(), settings).run())
    return *std::move(error);
  return settings;
}

}  // namespace stillgate::transport::ssh
