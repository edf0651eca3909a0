// Parses the nested sections of a KRL and checks every length.
#include "krl.hpp"

#include <cstdint>

#include <fmt/format.h>

#include "transport/ssh/base/digest.hpp"
#include "transport/ssh/base/wire.hpp"

namespace stillgate::transport::ssh {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view magic = "SSHKRL\n\0"sv;
constexpr std::uint32_t format_version = 1;
constexpr std::size_t sha1_bytes = 20;
constexpr std::size_t sha256_bytes = 32;
constexpr std::size_t serial_bytes = 8;
/// The list's own version, its date and its flags.
constexpr std::size_t numbers_bytes = 24;

namespace section {
constexpr unsigned char certificates = 1;
constexpr unsigned char keys = 2;
constexpr unsigned char sha1s = 3;
constexpr unsigned char signature = 4;
constexpr unsigned char sha256s = 5;
constexpr unsigned char extension = 255;
}  // namespace section

namespace certificate_section {
constexpr unsigned char serials = 0x20;
constexpr unsigned char serial_range = 0x21;
constexpr unsigned char serial_bitmap = 0x22;
constexpr unsigned char key_ids = 0x23;
constexpr unsigned char extension = 0x39;
}  // namespace certificate_section

constexpr std::string_view breaks_off = "breaks off";

/// Each function reads to the end of what it is given, and returns a fault, or nothing.
std::string read_strings(WireReader section, std::size_t bytes_of_each,
                         std::unordered_set<std::string>& strings) {
  while (!section.empty()) {
    const auto entry = section.string();
    if (!entry) return std::string(breaks_off);
    if (bytes_of_each != 0 && entry->size() != bytes_of_each)
      return "has a hash of the wrong length";
    strings.emplace(*entry);
  }
  return {};
}

std::string read_extension(WireReader section) {
  const auto name = section.string();
  const auto critical = section.byte();
  const auto contents = section.string();
  if (!name || !critical || !contents || !section.empty()) return std::string(breaks_off);
  if (*critical == 0) return {};
  return fmt::format("has an unknown critical extension, '{}'", *name);
}

std::string read_certificate_section(unsigned char type, std::string_view body) {
  WireReader section(body);
  std::unordered_set<std::string> ids;
  switch (type) {
    case certificate_section::serials:
      return body.size() % serial_bytes == 0 ? "" : std::string(breaks_off);
    case certificate_section::serial_range:
      return body.size() == 2 * serial_bytes ? "" : std::string(breaks_off);
    case certificate_section::serial_bitmap:
      return section.bytes(serial_bytes) && section.string() && section.empty()
                 ? ""
                 : std::string(breaks_off);
    case certificate_section::key_ids:
      return read_strings(section, 0, ids);
    case certificate_section::extension:
      return read_extension(section);
    default:
      return fmt::format("has an unknown kind of certificate section, {}", type);
  }
}

std::string read_certificates(WireReader section) {
  const auto authority = section.string();
  const auto reserved = section.string();
  if (!authority || !reserved) return std::string(breaks_off);
  while (!section.empty()) {
    const auto type = section.byte();
    const auto body = section.string();
    if (!type || !body) return std::string(breaks_off);
    auto fault = read_certificate_section(static_cast<unsigned char>(*type), *body);
    if (!fault.empty()) return fault;
  }
  return {};
}

std::string read_section(unsigned char type, std::string_view body, Krl& krl) {
  const WireReader section(body);
  switch (type) {
    case section::certificates:
      return read_certificates(section);
    case section::keys:
      return read_strings(section, 0, krl.keys);
    case section::sha1s:
      return read_strings(section, sha1_bytes, krl.sha1s);
    case section::sha256s:
      return read_strings(section, sha256_bytes, krl.sha256s);
    case section::signature:
      // As OpenSSH from 9.4 on: an unchecked signature is worse than none.
      return "is signed, which OpenSSH no longer supports";
    case section::extension:
      return read_extension(section);
    default:
      return fmt::format("has an unknown kind of section, {}", type);
  }
}

std::string read_sections(WireReader all, Krl& krl) {
  const auto version = all.bytes(magic.size()) ? all.number() : std::nullopt;
  if (!version) return std::string(breaks_off);
  if (*version != format_version) return fmt::format("has an unknown format, {}", *version);
  const bool begun = all.bytes(numbers_bytes) && all.string() && all.string();
  if (!begun) return std::string(breaks_off);
  while (!all.empty()) {
    const auto type = all.byte();
    const auto body = all.string();
    if (!type || !body) return std::string(breaks_off);
    auto fault = read_section(static_cast<unsigned char>(*type), *body, krl);
    if (!fault.empty()) return fault;
  }
  return {};
}

}  // namespace

bool Krl::has(std::string_view key) const {
  return keys.contains(std::string(key)) ||
         (!sha1s.empty() && sha1s.contains(digest_of(key, EVP_sha1()))) ||
         (!sha256s.empty() && sha256s.contains(digest_of(key, EVP_sha256())));
}

bool is_krl(std::string_view text) { return text.starts_with(magic); }

Krl read_krl(std::string_view text) {
  Krl krl;
  krl.fault = read_sections(WireReader(text), krl);
  return krl;
}

}  // namespace stillgate::transport::ssh
