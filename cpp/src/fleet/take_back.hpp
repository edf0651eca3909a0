// Whoever leaves a suspend with anything but its report takes the hold back.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <stillgate/report.hpp>

namespace stillgate::fleet {

/// What may throw in a suspend, and what ends its hold.
struct Suspending {
  std::function<Report()> suspend;
  std::function<Report()> take_back;
  /// Whether something that holds may have been sent; then the hold gets its times. Never throws.
  std::function<bool(Hold& hold)> may_hold;
};

/// What is told of a hold that could not be ended. It is made before the suspend: memory may be
/// what fails. `hold` is without its times.
[[nodiscard]] Report unended(const std::vector<std::string>& urls,
                             const std::vector<std::string>& frontends, Hold hold);

/// The report of the suspend. Its exception goes on its way once nothing is held. Where the hold
/// could not be ended, `unended` comes in place of the exception, with what is known.
[[nodiscard]] Report suspend_or_take_back(const Suspending& parts, Report unended);

}  // namespace stillgate::fleet
