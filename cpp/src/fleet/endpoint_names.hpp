// What the endpoints of a fleet are called in its reports and events.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/endpoint.hpp>
#include <stillgate/event.hpp>
#include <stillgate/outcome.hpp>
#include <stillgate/report.hpp>

#include "runtime_api/batch.hpp"

namespace stillgate::fleet {

/// Plans know endpoints by their URLs. This puts the short names into what they report, beside the
/// URL as a field, and in place of it in messages. Not thread-safe.
class EndpointNames {
 public:
  explicit EndpointNames(const std::vector<Endpoint>& endpoints);
  /// Those that are known already, by their URLs; for a guard.
  explicit EndpointNames(std::map<std::string, std::string, std::less<>> known);

  /// Reads the nodes out of the answers to `show info`; one per endpoint.
  void learn(const std::vector<runtime_api::Answer>& answers);

  /// Whether that endpoint, by its place, was given a name or has said what it calls itself.
  [[nodiscard]] bool knows(std::size_t endpoint) const {
    return !given_[endpoint].empty() || !nodes_[endpoint].empty();
  }

  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all();
  void put_into(Report& report);
  void put_into(Event& event);
  void put_into(std::vector<Outcome>& outcomes);

 private:
  std::string of(std::string_view url);
  void shorten(std::string& message);
  void shorten(std::optional<Error>& error);

  std::vector<std::string> urls_;
  std::vector<std::string> given_;
  std::vector<std::string> nodes_;
  std::map<std::string, std::string, std::less<>> names_;
};

}  // namespace stillgate::fleet
