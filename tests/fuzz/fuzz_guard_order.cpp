// Fuzzes what a guard reads on its standard input, and what it answers: an order is whole, or none.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <stillgate/error.hpp>

#include "fleet/guard/order.hpp"
#include "require.hpp"

using stillgate::Errc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto order = stillgate::fleet::decode_order(text);
  if (order) {
    REQUIRE(!order->record.switches.empty() && !order->state_folder.empty());
    const auto again = stillgate::fleet::decode_order(stillgate::fleet::encode(*order));
    REQUIRE(again && again->record == order->record && again->mode == order->mode);
    REQUIRE(again->deadline == order->deadline && again->secrets == order->secrets);
    REQUIRE(again->on_event == order->on_event && again->event_format == order->event_format);
    REQUIRE(again->state_folder == order->state_folder);
  } else {
    REQUIRE(order.error().code == Errc::guard_failed);
  }
  const auto refusal = stillgate::fleet::decode_refusal(text.substr(0, text.find('\n')));
  const auto told = stillgate::fleet::encode_refusal(refusal.field, refusal);
  REQUIRE(told.find('\n') == told.size() - 1);
  const auto again = stillgate::fleet::decode_refusal(told.substr(0, told.size() - 1));
  REQUIRE(again.code == refusal.code && again.message == refusal.message);
  REQUIRE(again.field == refusal.field && again.haproxy == refusal.haproxy);
  return 0;
}
