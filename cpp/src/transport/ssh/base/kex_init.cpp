// Finding and parsing a server's KEXINIT.
#include "kex_init.hpp"

#include <algorithm>
#include <utility>

#include "wire.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr char kex_init_message = 20;
constexpr std::size_t cookie_bytes = 16;
/// libssh2 takes the text ahead of the version in pieces of this size.
constexpr std::size_t longest_line = 256;
/// A packet begins with its length, which does not count these bytes, and that of its padding.
constexpr std::size_t length_bytes = 4;
constexpr std::size_t header_bytes = length_bytes + 1;

}  // namespace

std::optional<KexInit> parse_kex_init(std::string_view payload) {
  WireReader reader(payload);
  if (reader.byte() != kex_init_message || !reader.bytes(cookie_bytes)) return std::nullopt;
  KexInit lists;
  for (std::string* const list :
       {&lists.key_exchanges, &lists.host_keys, &lists.ciphers_to_server, &lists.ciphers_to_client,
        &lists.macs_to_server, &lists.macs_to_client, &lists.compressions_to_server,
        &lists.compressions_to_client}) {
    const auto names = reader.string();
    if (!names) return std::nullopt;
    *list = *names;
  }
  return lists;
}

void KexInitReader::feed(std::string_view bytes) {
  while (!bytes.empty() && stage_ != Stage::over) {
    bytes.remove_prefix(stage_ == Stage::version ? take_version(bytes) : take_packet(bytes));
  }
}

/// Returns how many bytes it took, as does take_packet().
std::size_t KexInitReader::take_version(std::string_view bytes) {
  const std::size_t end = bytes.find('\n');
  const std::size_t whole = end == std::string_view::npos ? bytes.size() : end + 1;
  const std::size_t size = std::min(whole, longest_line - kept_.size());
  kept_ += bytes.substr(0, size);
  if (kept_.ends_with('\n') || kept_.size() == longest_line) {
    if (kept_.starts_with("SSH-")) stage_ = Stage::packet;
    kept_.clear();
  }
  return size;
}

std::size_t KexInitReader::take_packet(std::string_view bytes) {
  const bool knows_size = kept_.size() >= header_bytes;
  const std::size_t whole = knows_size ? packet_bytes() : header_bytes;
  const std::size_t size = std::min(bytes.size(), whole - kept_.size());
  kept_ += bytes.substr(0, size);
  if (kept_.size() < header_bytes) return size;
  const std::size_t padding = static_cast<unsigned char>(kept_[header_bytes - 1]);
  if (packet_bytes() > longest_packet || packet_bytes() < header_bytes + padding) {
    finish();
  } else if (kept_.size() == packet_bytes()) {
    const auto payload =
        std::string_view(kept_).substr(header_bytes, kept_.size() - header_bytes - padding);
    // Others may come ahead of it. What follows it is of no interest, and encrypted before long.
    if (payload.starts_with(kex_init_message)) {
      found_ = parse_kex_init(payload);
      finish();
    } else {
      kept_.clear();
    }
  }
  return size;
}

/// Of the packet that is kept, once its header is there.
std::size_t KexInitReader::packet_bytes() const {
  return length_bytes + WireReader(kept_).number().value_or(0);
}

void KexInitReader::finish() {
  stage_ = Stage::over;
  std::string().swap(kept_);
}

}  // namespace stillgate::transport::ssh
