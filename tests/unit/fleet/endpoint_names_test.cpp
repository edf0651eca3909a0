// The short names in messages: an URL is replaced where it is read, and stays where it is typed.
#include "fleet/endpoint_names.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stillgate::fleet {
namespace {

std::string named(std::string message) {
  EndpointNames names({{"unix:///run/a.sock", "lb1"}, {"tcp://10.0.0.1:9999", "lb2"}});
  Event event;
  event.message = std::move(message);
  names.put_into(event);
  return event.message;
}

TEST(EndpointNames, AreInMessagesInPlaceOfTheUrls) {
  EXPECT_EQ(named("unix:///run/a.sock: no answer"), "lb1: no answer");
  EXPECT_EQ(named("not at 'tcp://10.0.0.1:9999', unix:///run/a.sock."), "not at 'lb2', lb1.");
}

TEST(EndpointNames, LeaveWhatSomebodyIsToType) {
  const std::string typed = "type 'stillgate resume f -e unix:///run/a.sock'";
  EXPECT_EQ(named(typed), typed);
}

TEST(EndpointNames, LeaveWhatIsNoneOfTheFleet) {
  EXPECT_EQ(named("see tcp://10.0.0.9:1, and ://"), "see tcp://10.0.0.9:1, and ://");
}

}  // namespace
}  // namespace stillgate::fleet
