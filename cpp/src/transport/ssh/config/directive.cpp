// Understanding one line of an ssh_config: its keyword, and whether its value can be right.
#include "directive.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "algorithms.hpp"
#include "lines.hpp"
#include "pattern.hpp"
#include "values.hpp"

namespace stillgate::transport::ssh {
namespace {

struct Named {
  std::string_view name;
  Keyword keyword;
};

constexpr std::array keywords{
    Named{"host", Keyword::host},
    Named{"match", Keyword::match},
    Named{"include", Keyword::include},
    Named{"hostname", Keyword::host_name},
    Named{"user", Keyword::user},
    Named{"port", Keyword::port},
    Named{"identityfile", Keyword::identity_file},
    Named{"identityfile2", Keyword::identity_file},
    Named{"identitiesonly", Keyword::identities_only},
    Named{"identityagent", Keyword::identity_agent},
    Named{"certificatefile", Keyword::certificate_file},
    Named{"userknownhostsfile", Keyword::user_known_hosts_file},
    Named{"globalknownhostsfile", Keyword::global_known_hosts_file},
    Named{"stricthostkeychecking", Keyword::strict_host_key_checking},
    Named{"hashknownhosts", Keyword::hash_known_hosts},
    Named{"hostkeyalias", Keyword::host_key_alias},
    Named{"revokedhostkeys", Keyword::revoked_host_keys},
    Named{"proxyjump", Keyword::proxy_jump},
    Named{"proxycommand", Keyword::proxy_command},
    Named{"connecttimeout", Keyword::connect_timeout},
    Named{"addressfamily", Keyword::address_family},
    Named{"kexalgorithms", Keyword::kex_algorithms},
    Named{"hostkeyalgorithms", Keyword::host_key_algorithms},
    Named{"ciphers", Keyword::ciphers},
    Named{"macs", Keyword::macs},
    Named{"pubkeyacceptedalgorithms", Keyword::pubkey_accepted_algorithms},
    Named{"pubkeyacceptedkeytypes", Keyword::pubkey_accepted_algorithms},
};

// Those after "localuser" are known to some release of ssh, and cannot be evaluated here.
constexpr std::array<std::string_view, 10> criteria_with_argument{
    "host",         "originalhost", "user",    "localuser",   "exec",
    "localnetwork", "tagged",       "version", "sessiontype", "command"};

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// Why the argument cannot be right; empty if it can.
std::string_view fault(Keyword keyword, const std::string& argument) {
  switch (keyword) {
    case Keyword::port:
      return parse_port(argument) ? "" : "the port must be a number from 1 to 65535";
    case Keyword::identities_only:
    case Keyword::hash_known_hosts:
      return parse_flag(argument) ? "" : "expected yes or no";
    case Keyword::strict_host_key_checking:
      return parse_checking(argument) ? "" : "expected yes, no, ask or accept-new";
    case Keyword::connect_timeout:
      return argument == "none" || parse_time(argument) ? "" : "expected seconds or none";
    case Keyword::address_family:
      return parse_family(argument) ? "" : "expected any, inet or inet6";
    case Keyword::proxy_jump:
      return parse_jumps(argument)
                 ? ""
                 : "expected [user@]host[:port], several separated by commas, or none";
    case Keyword::identity_agent:
      return !argument.starts_with('$') || argument.starts_with("${") ||
                     valid_variable(std::string_view(argument).substr(1))
                 ? ""
                 : "not the name of a variable";
    case Keyword::kex_algorithms:
      return valid_algorithms(AlgorithmKind::key_exchange, argument)
                 ? ""
                 : "a key exchange is in it that ssh does not know, either";
    case Keyword::ciphers:
      return valid_algorithms(AlgorithmKind::cipher, argument)
                 ? ""
                 : "a cipher is in it that ssh does not know, either";
    case Keyword::macs:
      return valid_algorithms(AlgorithmKind::mac, argument)
                 ? ""
                 : "a MAC is in it that ssh does not know, either";
    case Keyword::host_key_algorithms:
    case Keyword::pubkey_accepted_algorithms:
      return valid_algorithms(AlgorithmKind::public_key, argument)
                 ? ""
                 : "a type of key is in it that ssh does not know, either";
    default:
      return "";
  }
}

/// One or more, or "none".
bool names_files(Keyword keyword) {
  return keyword == Keyword::user_known_hosts_file || keyword == Keyword::global_known_hosts_file ||
         keyword == Keyword::revoked_host_keys;
}

bool takes_many(Keyword keyword) {
  return keyword == Keyword::host || keyword == Keyword::include || names_files(keyword);
}

std::optional<Error> check(const Directive& directive, std::string_view name) {
  const auto& arguments = directive.arguments;
  const auto bad = [&](std::string_view why) {
    return bad_config(directive.place, fmt::format("{}: {}", name, why));
  };
  if (contains(arguments, "")) return bad("an argument is empty");
  if (takes_many(directive.keyword)) {
    if (names_files(directive.keyword) && arguments.size() > 1 &&
        std::any_of(arguments.begin(), arguments.end(),
                    [](const auto& argument) { return lower(argument) == "none"; })) {
      return bad("'none' must be the only argument");
    }
    return std::nullopt;
  }
  if (arguments.empty()) return bad("the argument is missing");
  if (arguments.size() > 1) return bad("too many arguments");
  const auto why = fault(directive.keyword, arguments[0]);
  if (!why.empty()) return bad(fmt::format("'{}': {}", arguments[0], why));
  return std::nullopt;
}

/// The words of a Match line, which OpenSSH before 9.9 split as it does keywords.
Result<std::vector<Criterion>> understand_match(const std::vector<std::string>& words,
                                                const Place& place) {
  std::vector<Criterion> criteria;
  const auto is_over = [&](auto word) { return word == words.end() || word->starts_with('#'); };
  for (auto word = words.begin(); !is_over(word); ++word) {
    const std::size_t equals = word->find('=');
    const bool has_value = equals != std::string::npos;
    Criterion criterion;
    criterion.negated = word->starts_with('!');
    criterion.name =
        lower(std::string_view(*word).substr(0, equals)).substr(criterion.negated ? 1 : 0);
    if (criterion.name == "all" && !has_value) {
      // ssh itself allows one criterion before it, which "Match final all" needs.
      if (criteria.size() > 1 || !is_over(word + 1)) {
        return bad_config(place, "match: 'all' cannot be combined with other criteria");
      }
      criteria.push_back(std::move(criterion));
      return criteria;
    }
    if (contains(criteria_with_argument, criterion.name)) {
      if (has_value) criterion.argument = word->substr(equals + 1);
      if (!has_value && !is_over(word + 1)) criterion.argument = *++word;
      if (criterion.argument.empty()) {
        return bad_config(place, fmt::format("match: {} needs an argument", criterion.name));
      }
      // OpenSSH before 9.9 takes it for `host=NAME`, and later for a host of the name `=NAME`.
      if (criterion.argument.starts_with('=')) {
        return bad_config(place, fmt::format("match: write {}=... without a space before the '='",
                                             criterion.name));
      }
    } else if (has_value || (criterion.name != "final" && criterion.name != "canonical")) {
      return bad_config(place, fmt::format("match: unknown criterion '{}'", *word));
    }
    criteria.push_back(std::move(criterion));
  }
  if (criteria.empty()) return bad_config(place, "match: a criterion is missing");
  return criteria;
}

/// ProxyJump and ProxyCommand are not split; an `=` may come before them.
std::vector<std::string> whole_text(Keyword keyword, std::string_view rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n="), rest.size()));
  if (keyword == Keyword::proxy_jump) {
    rest = rest.substr(0, rest.find_first_of("# \t\r\n"));
    // ssh leaves quotes to the shell that starts the other ssh.
    if (rest.size() > 1 && rest.front() == '"' && rest.back() == '"') {
      rest = rest.substr(1, rest.size() - 2);
    }
  }
  if (rest.empty()) return {};
  return {std::string(rest)};
}

}  // namespace

Error bad_config(const Place& place, std::string_view why) {
  return {Errc::ssh_config, fmt::format("{}:{}: {}", *place.file, place.line, why)};
}

Result<std::optional<Directive>> understand(std::string_view line, const Place& place) {
  const auto split = split_line(line);
  if (!split) return std::optional<Directive>();
  const auto* const named = std::find_if(keywords.begin(), keywords.end(), [&](const Named& entry) {
    return entry.name == split->keyword;
  });
  if (named == keywords.end()) return std::optional<Directive>();
  if (split->rest.empty()) {
    return bad_config(place, fmt::format("{}: the argument is missing", named->name));
  }
  Directive directive{named->keyword, {}, {}, place};
  auto arguments = split_arguments(split->rest);
  if (!arguments) return bad_config(place, fmt::format("{}: a quote is not closed", named->name));
  if (directive.keyword == Keyword::match) {
    auto criteria = understand_match(*arguments, place);
    if (!criteria) return criteria.error();
    directive.criteria = *std::move(criteria);
    return std::optional(std::move(directive));
  }
  directive.arguments =
      directive.keyword == Keyword::proxy_jump || directive.keyword == Keyword::proxy_command
          ? whole_text(directive.keyword, split->rest)
          : *std::move(arguments);
  if (auto error = check(directive, named->name)) return *std::move(error);
  return std::optional(std::move(directive));
}

}  // namespace stillgate::transport::ssh
