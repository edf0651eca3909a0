// Writing and reading the record that a HAProxy keeps.
#include "record_variable.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "runtime_api/release.hpp"

namespace stillgate::hold {
namespace {

using runtime_api::Command;
using runtime_api::Reply;

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

Error unreadable(std::string_view frontend) {
  return {Errc::journal_failed,
          fmt::format("the record that this HAProxy stores in proc.{} cannot be read; 'stillgate "
                      "resume {} --limit N' resumes without it",
                      variable_of(frontend), frontend)};
}

}  // namespace

std::string to_base64url(std::string_view bytes) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : bytes) {
    bits = bits << 8U | static_cast<unsigned char>(c);
    count += 8;
    for (; count >= 6; count -= 6) out += alphabet[bits >> (count - 6) & 63U];
  }
  if (count > 0) out += alphabet[bits << (6 - count) & 63U];
  return out;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(static_cast<unsigned char>(bits >> count & 0xffU));
  }
  // What is left over of the last letter is less than a byte, and zero.
  if (count >= 6 || (bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return out;
}

std::string encode_name(std::string_view frontend) {
  std::string name;
  for (const char c : frontend) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) {
      name += c;
    } else {
      name += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return name;
}

std::string variable_of(std::string_view frontend) {
  return "stillgate_maxconn_" + encode_name(frontend);
}

std::string pack(const Record& record) { return to_base64url(encode(record)); }

Result<Record> unpack(std::string_view text, std::string_view endpoint, std::string_view frontend) {
  const auto bytes = from_base64url(text);
  auto record = bytes ? decode(*bytes) : Result<Record>(unreadable(frontend));
  if (!record || record->switches.size() != 1 || record->switches[0].frontend != frontend) {
    return unreadable(frontend);
  }
  record->switches[0].endpoint = endpoint;
  return record;
}

std::optional<std::string_view> value_in(const Reply& reply) {
  static constexpr std::string_view opening = "value=<";
  const std::size_t open = reply.text.find(opening);
  if (reply.refusal || open == std::string::npos || !reply.text.ends_with('>')) return std::nullopt;
  const std::string_view value = std::string_view(reply.text).substr(open + opening.size());
  return value.substr(0, value.size() - 1);
}

Command read_variable(std::string_view frontend) {
  return *Command::get_variable(variable_of(frontend));
}

Result<std::vector<Command>> write_variable(std::string_view frontend, const Record& record) {
  auto set = Command::set_variable(variable_of(frontend), pack(record));
  if (!set) return set.error();
  return std::vector<Command>{Command::allow_experiments(), *std::move(set)};
}

Result<std::vector<Command>> write_first_record(std::string_view frontend, const Record& record,
                                                std::string_view version) {
  if (!runtime_api::has_compare_and_set(version)) return write_variable(frontend, record);
  auto set = Command::set_variable_once(variable_of(frontend), pack(record));
  if (!set) return set.error();
  return std::vector<Command>{Command::allow_experiments(), *std::move(set)};
}

std::vector<Command> empty_variable(std::string_view frontend) {
  return {Command::allow_experiments(), *Command::set_variable(variable_of(frontend), "")};
}

Remembered read_remembered(const Reply& reply, std::string_view endpoint,
                           std::string_view frontend) {
  Remembered found;
  if (reply.refusal && !reply.refusal->haproxy.value_or("").starts_with("Variable not found")) {
    return found;
  }
  found.supported = true;
  if (reply.refusal) return found;
  const auto value = value_in(reply);
  if (!value) {
    found.error = unreadable(frontend);
    return found;
  }
  if (value->empty()) {
    found.emptied = true;
    return found;
  }
  auto record = unpack(*value, endpoint, frontend);
  if (!record) {
    found.error = record.error();
    return found;
  }
  found.record = *std::move(record);
  return found;
}

}  // namespace stillgate::hold
