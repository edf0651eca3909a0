// Fuzzes commands: whatever the text, HAProxy gets exactly one line, or one line and its payload.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "require.hpp"
#include "runtime_api/command.hpp"

using stillgate::Errc;
using stillgate::runtime_api::Command;

namespace {

void check_line(const Command& command) {
  const std::string& wire = command.wire();
  REQUIRE(std::count(wire.begin(), wire.end(), '\n') == 1);
  REQUIRE(wire.find("<<") == std::string::npos);
}

void check_payload(const Command& command) {
  const std::string& wire = command.wire();
  REQUIRE(command.text().ends_with(" <<"));
  // The first empty line is the payload's end, and nothing stands behind it.
  REQUIRE(wire.find("\n\n") == wire.size() - 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\x1f');
  std::optional<std::string> payload;
  if (cut != std::string_view::npos) payload = text.substr(cut + 1);
  const auto command = Command::parse(text.substr(0, cut), payload);
  if (!command) {
    REQUIRE(command.error().code == Errc::bad_command);
  } else {
    REQUIRE(command->wire().size() <= Command::max_bytes && command->wire().ends_with('\n'));
    REQUIRE(command->wire().find('\0') == std::string::npos);
    REQUIRE(command->wire().find('\r') == std::string::npos);
    if (payload) {
      check_payload(*command);
    } else {
      check_line(*command);
    }
  }
  if (const auto limit = Command::set_maxconn(text, 1)) {
    check_line(*limit);
    REQUIRE(std::count(limit->wire().begin(), limit->wire().end(), ' ') == 4);
  }
  return 0;
}
