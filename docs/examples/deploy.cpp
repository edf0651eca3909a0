// Deploys a migration while all traffic is held: deploy FRONTEND ENDPOINT COMMAND.
#include <cstdlib>
#include <iostream>

#include <stillgate/fleet.hpp>
#include <stillgate/held_fleet.hpp>

int main(int count, char** words) {
  if (count != 4) return 2;
  auto endpoint = stillgate::Endpoint::parse(words[2]);
  if (!endpoint) {
    std::cerr << endpoint.error().message << '\n';
    return 2;
  }
  auto fleet = stillgate::Fleet::create({*endpoint});
  if (!fleet) {
    std::cerr << fleet.error().message << '\n';
    return 2;
  }

  stillgate::SuspendOptions options;
  options.max_hold = std::chrono::seconds(10);
  options.holder_stays = true;  // this program ends the hold itself; the guard, if it dies
  auto hold = fleet->hold({words[1]}, options);
  if (!hold) {
    std::cerr << hold.error().message << '\n';
    return 2;
  }
  if (!hold->held()) {
    std::cerr << to_json(hold->report()) << '\n';
    return 1;
  }
  // From here on every way out of this function releases, also an exception.
  const bool migrated = std::system(words[3]) == 0;

  const auto released = hold->release();
  const bool stood = released && released->ok();
  std::cout << (migrated ? "migrated" : "not migrated")
            << (stood ? ", held to the end\n" : ", and the hold did not stand\n");
  return migrated && stood ? 0 : 1;
}
