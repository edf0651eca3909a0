// Fuzzes the record that an HAProxy keeps: what is read out of it can be written into it again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "hold/record/record_variable.hpp"
#include "require.hpp"

using stillgate::Errc;
using stillgate::hold::read_remembered;
using stillgate::hold::write_variable;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);
  for (const std::string& text : {value, "proc.x: type=str value=<" + value + ">"}) {
    const auto found = read_remembered({text, std::nullopt}, "unix:///a", "balanced");
    REQUIRE(found.supported && !(found.record && found.error));
    if (found.error) REQUIRE(found.error->code == Errc::journal_failed);
    if (!found.record) continue;
    REQUIRE(found.record->find("unix:///a", "balanced") != nullptr);
    const auto again = write_variable("balanced", *found.record);
    REQUIRE(!again || again->at(1).wire().find('\n') == again->at(1).wire().size() - 1);
  }
  return 0;
}
