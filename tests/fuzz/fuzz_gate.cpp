// Fuzzes the gate's answers: what is read has counts that are none below zero, or is an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "runtime_api/gate.hpp"

using stillgate::Errc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto status = stillgate::runtime_api::parse_gate_status(text);
  if (status) {
    for (const auto& [name, one] : status->frontends) {
      REQUIRE(one.waiting >= 0);
      REQUIRE(one.counters.held >= 0 && one.counters.rejected >= 0);
    }
  } else {
    REQUIRE(status.error().code == Errc::malformed_reply);
  }
  const auto proofs = stillgate::runtime_api::parse_gate_proofs(text);
  REQUIRE(proofs || proofs.error().code == Errc::malformed_reply);
  return 0;
}
