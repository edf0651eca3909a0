// Fuzzes what an HAProxy stores of a lock, and a gate's token: what is read is whole, or nothing.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "hold/record/gate_token.hpp"
#include "hold/record/lock_variables.hpp"
#include "require.hpp"

using stillgate::Errc;
namespace hold = stillgate::hold;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);
  for (const std::string& text : {value, "proc.x: type=str value=<" + value + ">"}) {
    const auto lock = hold::read_lock({text, std::nullopt}, "unix:///a", "balanced");
    if (lock) {
      // Its id becomes part of a variable's name.
      const auto successor = hold::read_successor("balanced", lock->id).wire();
      REQUIRE(successor.find('\n') == successor.size() - 1);
      if (lock->record) REQUIRE(lock->record->find("unix:///a", "balanced") != nullptr);
    }
    if (const auto ended = hold::read_ended({text, std::nullopt})) {
      for (const auto& mark : hold::mark_ended("balanced", ended->id, ended->how, ended->at)) {
        REQUIRE(mark.wire().find('\n') == mark.wire().size() - 1);
      }
    }
  }
  const auto record = hold::record_in(value, "unix:///a", "balanced");
  if (!record) {
    REQUIRE(record.error().code == Errc::journal_failed);
    return 0;
  }
  REQUIRE(record->find("unix:///a", "balanced") != nullptr);
  const std::string longer = hold::longer_token(value, std::chrono::seconds(1), *record);
  REQUIRE(longer == value || hold::record_in(longer, "unix:///a", "balanced"));
  return 0;
}
