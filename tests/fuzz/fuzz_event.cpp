// Fuzzes the lines of the history: what is read is told in every format, and is read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <stillgate/event.hpp>

#include "require.hpp"

using stillgate::EventFormat;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto event = stillgate::parse_event(text);
  if (!event) return 0;
  const std::string line = format(*event, EventFormat::json);
  const auto again = stillgate::parse_event(line);
  REQUIRE(again && again->kind == event->kind && again->message == event->message);
  REQUIRE(format(*event, EventFormat::syslog).find('\n') == std::string::npos);
  REQUIRE(format(*event, EventFormat::journald).starts_with("MESSAGE="));
  return 0;
}
