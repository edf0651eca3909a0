// Which part of an URL tells an endpoint from the others.
#include "short_names.hpp"

#include <algorithm>
#include <cstddef>
#include <unordered_map>
#include <utility>

namespace stillgate {
namespace {

/// A file's name without what all sockets end in.
std::string_view stem(std::string_view file) {
  constexpr std::string_view usual = ".sock";
  if (file.size() > usual.size() && file.ends_with(usual)) file.remove_suffix(usual.size());
  return file;
}

bool is_address(std::string_view host) {
  return host.find_first_not_of("0123456789.") == std::string_view::npos || host.starts_with('[');
}

/// `lb1` of `lb1.example`, then more of it.
void add_host(std::vector<std::string>& names, std::string_view host, std::string_view path) {
  host.remove_prefix(host.rfind('@') + 1);  // npos + 1 is 0
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && !host.ends_with(']');
  const std::string_view bare = has_port ? host.substr(0, colon) : host;
  const std::string_view label = is_address(bare) ? bare : bare.substr(0, bare.find('.'));
  names.emplace_back(label);
  names.emplace_back(bare);
  names.emplace_back(host);
  if (path.empty()) return;
  names.push_back(std::string(label) + ":" + std::string(stem(path.substr(path.rfind('/') + 1))));
  names.push_back(std::string(host) + std::string(path));
}

/// The socket's own name, then its folders', the nearest one first, then the end of its path.
void add_path(std::vector<std::string>& names, std::string_view path) {
  std::vector<std::size_t> slashes;
  for (std::size_t at = path.rfind('/'); at != std::string_view::npos && at > 0;
       at = path.rfind('/', at - 1)) {
    slashes.push_back(at);
  }
  slashes.push_back(0);
  std::size_t end = path.size();
  for (const std::size_t slash : slashes) {
    names.emplace_back(stem(path.substr(slash + 1, end - slash - 1)));
    end = slash;
  }
  for (const std::size_t slash : slashes) names.emplace_back(path.substr(slash + 1));
}

/// `0` of `0.sock`: it tells nobody which HAProxy that is.
bool is_number(std::string_view name) {
  return name.find_first_not_of("0123456789") == std::string_view::npos;
}

/// What an endpoint may be called, the best name first.
std::vector<std::string> names_of(const Nameable& one) {
  std::vector<std::string> names;
  constexpr std::string_view mark = "://";
  std::string_view rest = one.url.substr(0, one.url.find('?'));
  const std::size_t at = rest.find(mark);
  rest.remove_prefix(at == std::string_view::npos ? 0 : at + mark.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  if (slash > 0) {
    add_host(names, rest.substr(0, slash), rest.substr(slash));
  } else {
    add_path(names, rest);
  }
  std::erase_if(names, is_number);
  names.emplace_back(one.url);
  if (!one.node.empty()) names.emplace(names.begin(), one.node);
  if (!one.given.empty()) names.emplace(names.begin(), one.given);
  return names;
}

}  // namespace

std::vector<std::string> short_names(const std::vector<Nameable>& endpoints) {
  constexpr std::size_t several = static_cast<std::size_t>(-1);
  std::vector<std::vector<std::string>> possible;
  std::unordered_map<std::string_view, std::size_t> owners;
  possible.reserve(endpoints.size());
  for (const Nameable& one : endpoints) possible.push_back(names_of(one));
  for (std::size_t i = 0; i < possible.size(); ++i) {
    for (const std::string& name : possible[i]) {
      const auto [found, is_new] = owners.try_emplace(name, i);
      if (!is_new && found->second != i) found->second = several;
    }
  }
  std::vector<std::string> names;
  names.reserve(endpoints.size());
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const auto& its = possible[i];
    const auto best = std::find_if(its.begin(), its.end(),
                                   [&](const std::string& name) { return owners.at(name) == i; });
    // An operator's name is no other's: whoever is called like it by chance takes another one.
    names.push_back(!endpoints[i].given.empty() ? its.front()
                    : best == its.end()         ? its.back()
                                                : *best);
  }
  return names;
}

}  // namespace stillgate
