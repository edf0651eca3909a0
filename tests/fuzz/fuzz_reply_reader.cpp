// Fuzzes the reply reader: how the bytes are chopped never changes what was read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "require.hpp"
#include "runtime_api/reply.hpp"
#include "runtime_api/reply_reader.hpp"

namespace {

using stillgate::runtime_api::Closing;
using stillgate::runtime_api::read_reply;
using stillgate::runtime_api::ReplyReader;
using State = ReplyReader::State;

constexpr std::size_t cap = 4096;

struct Read {
  State state{State::more};
  std::vector<std::string> replies;
  std::string partial;
  std::string code;
};

/// `size` 0: pieces of changing size, taken from the bytes themselves.
Read read(ReplyReader reader, std::string_view bytes, std::size_t size) {
  Read result;
  while (!bytes.empty() && result.state == State::more) {
    const std::size_t wanted = size > 0 ? size : 1 + static_cast<unsigned char>(bytes[0]) % 7;
    const std::size_t taken = std::min(wanted, bytes.size());
    result.state = reader.feed(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
  }
  const bool early = result.state == State::more;
  if (early) result.state = reader.end_of_stream();
  REQUIRE(result.state != State::more);
  REQUIRE((result.state == State::failed) == reader.error().has_value());
  result.replies = reader.replies();
  result.partial = reader.partial();
  if (reader.error()) result.code = name(reader.error()->code);
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned how = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool fresh = (how & 1U) != 0;
  const Closing closing = (how & 2U) != 0 ? Closing::quit : Closing::keep;
  const std::size_t expected = 1 + (how >> 2U) % 3;
  const ReplyReader reader(fresh, closing, expected, cap);
  const Read single = read(reader, bytes, 1);
  for (const std::size_t piece :
       {std::size_t{0}, std::size_t{2}, std::size_t{3}, std::size_t{64}}) {
    const Read other = read(reader, bytes, piece);
    // With keep, single bytes complete before what is too much has come; a larger piece holds it.
    if (closing == Closing::keep && single.state == State::complete &&
        other.code == "malformed_reply") {
      continue;
    }
    REQUIRE(other.state == single.state || bytes.size() > cap);
    if (bytes.size() > cap || other.state != single.state) continue;
    REQUIRE(other.code == single.code);
    if (single.state == State::complete) REQUIRE(other.replies == single.replies);
  }
  if (single.state == State::complete) REQUIRE(single.replies.size() == expected);
  for (const std::string& raw : single.replies) {
    const auto reply = read_reply(raw);
    REQUIRE(!reply.text.ends_with('\n'));
    REQUIRE(reply.text.size() <= raw.size());
  }
  return 0;
}
