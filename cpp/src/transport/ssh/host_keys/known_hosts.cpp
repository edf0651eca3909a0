// Parses known_hosts files, and finds keys in them.
#include "known_hosts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "files/file.hpp"
#include "hashed_name.hpp"
#include "transport/ssh/base/base64.hpp"
#include "transport/ssh/base/digest.hpp"
#include "transport/ssh/base/wire.hpp"
#include "transport/ssh/base/words.hpp"
#include "transport/ssh/config/pattern.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr std::uint16_t ssh_port = 22;

}  // namespace

KnownHosts KnownHosts::parse(std::string_view text, std::string file) {
  KnownHosts hosts;
  hosts.add(text, std::move(file));
  return hosts;
}

KnownHosts KnownHosts::load(const std::vector<std::string>& files) {
  KnownHosts hosts;
  for (const auto& path : files) {
    const auto read = files::read_file(path);
    if (read) {
      hosts.add(read->text, path);
    } else if (!read.fault.is_missing()) {
      hosts.unread_.push_back(fmt::format("{}: {}", path, read.fault.why));
    }
  }
  return hosts;
}

void KnownHosts::add(std::string_view text, std::string file) {
  files_.push_back(std::move(file));
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (auto line = parse_line(text.substr(0, end))) {
      line->file = files_.size() - 1;
      line->number = number;
      lines_.push_back(*std::move(line));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::optional<KnownHosts::Line> KnownHosts::parse_line(std::string_view text) {
  Line line;
  skip_blanks(text);
  std::string_view names = take_word(text);
  if (names.starts_with('@')) {
    // @cert-authority vouches for certificates, which libssh2 cannot check.
    if (names != "@revoked") return std::nullopt;
    line.marker = Marker::revoked;
    names = take_word(text);
  }
  if (names.empty() || names.starts_with('#') || names.starts_with('@')) return std::nullopt;
  const std::string_view type = take_word(text);
  auto blob = decode_base64(take_word(text));
  if (!blob || type.empty() || key_type(*blob) != type) return std::nullopt;
  line.blob = *std::move(blob);
  if (!names.starts_with('|')) {
    line.names = names;
    return line;
  }
  auto hashed = HashedName::parse(names);
  if (!hashed) return std::nullopt;
  line.hashed = *std::move(hashed);
  return line;
}

bool KnownHosts::Line::is_for(std::string_view name) const {
  return hashed ? hashed->matches(name) : matches_list(name, names, Case::ignored);
}

KnownHosts::Found KnownHosts::found(Verdict verdict, const Line& line) const {
  return {verdict, files_[line.file], line.number};
}

KnownHosts::Found KnownHosts::check(const std::vector<std::string>& names,
                                    std::string_view blob) const {
  if (names.empty()) return {};
  const Line* known = nullptr;
  const Line* by_other_name = nullptr;
  for (const Line& line : lines_) {
    // Comparing keys is cheap; matching a hashed name costs a hash.
    if (line.blob != blob) continue;
    const bool decisive = line.is_for(names[0]);
    if (!decisive && std::none_of(names.begin() + 1, names.end(),
                                  [&](const auto& name) { return line.is_for(name); })) {
      continue;
    }
    if (line.marker == Marker::revoked) return found(Verdict::revoked, line);
    const Line*& place = decisive ? known : by_other_name;
    if (place == nullptr) place = &line;
  }
  if (known != nullptr) return found(Verdict::known, *known);
  const Line* other = nullptr;
  for (const Line& line : lines_) {
    if (line.marker == Marker::revoked || !line.is_for(names[0])) continue;
    if (key_type(line.blob) == key_type(blob)) return found(Verdict::changed, line);
    if (other == nullptr) other = &line;
  }
  if (other != nullptr) return found(Verdict::other_type, *other);
  return by_other_name == nullptr ? Found() : found(Verdict::known, *by_other_name);
}

std::vector<std::string> KnownHosts::key_types(std::string_view name) const {
  std::vector<std::string> types;
  for (const Line& line : lines_) {
    if (line.marker == Marker::revoked) continue;
    const std::string_view type = key_type(line.blob);
    if (std::find(types.begin(), types.end(), type) != types.end()) continue;
    if (line.is_for(name)) types.emplace_back(type);
  }
  return types;
}

std::vector<std::string> lookup_names(std::string_view host, std::uint16_t port,
                                      std::string_view host_key_alias) {
  if (!host_key_alias.empty()) return {lower(host_key_alias)};
  const std::string name = lower(host);
  if (port == ssh_port) return {name};
  return {fmt::format("[{}]:{}", name, port), name};
}

std::string_view key_type(std::string_view blob) {
  return WireReader(blob).string().value_or(std::string_view());
}

std::string fingerprint(std::string_view blob) {
  std::string text = "SHA256:" + encode_base64(digest_of(blob, EVP_sha256()));
  text.resize(text.find_last_not_of('=') + 1);
  return text;
}

std::string known_hosts_line(std::string_view name, std::string_view blob, bool hashed) {
  return fmt::format("{} {} {}\n", hashed ? HashedName::of(name).text() : std::string(name),
                     key_type(blob), encode_base64(blob));
}

}  // namespace stillgate::transport::ssh
