// Fuzzes the record's codec: what is taken is well formed and comes out of encode again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hold/record/record.hpp"
#include "require.hpp"
#include "runtime_api/command.hpp"

using stillgate::Errc;
using stillgate::runtime_api::Command;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto record = stillgate::hold::decode({reinterpret_cast<const char*>(data), size});
  if (!record) {
    REQUIRE(record.error().code == Errc::journal_failed);
    return 0;
  }
  REQUIRE(record->id.find('/') == std::string::npos);  // it names the journal's file
  const auto again = stillgate::hold::decode(stillgate::hold::encode(*record));
  REQUIRE(again && *again == *record);
  for (const auto& held : record->switches) {
    REQUIRE(Command::set_maxconn(held.frontend, held.limit_before));
    REQUIRE(held.limit_before > 0 && !held.endpoint.empty());
    REQUIRE(record->find(held.endpoint, held.frontend) != nullptr);
  }
  (void)record->summary();
  return 0;
}
