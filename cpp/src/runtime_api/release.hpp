// HAProxy's releases: parsed, compared.
#pragma once

#include <compare>
#include <optional>
#include <string_view>

namespace stillgate::runtime_api {

/// `3.0.11-1+deb13u1`, `3.1-dev8`, `2.8.0-fdd8154`. What follows the numbers is a distribution's
/// or a commit's and does not count.
struct Release {
  /// The patch of a `-devN` lies below that of the release itself.
  static constexpr int dev_base = -1000;

  int major{0};
  int minor{0};
  int patch{0};  ///< for `-devN`: dev_base + N

  static constexpr Release dev(int major, int minor, int n) { return {major, minor, dev_base + n}; }
  static std::optional<Release> parse(std::string_view text) noexcept;

  // NOLINTNEXTLINE(modernize-use-nullptr): the check stumbles over a defaulted <=>
  auto operator<=>(const Release&) const = default;
};

/// Process variables can be set only where they are not set yet: 2.6 and later
/// (docs/haproxy-facts.md, section 3). False for a version that cannot be parsed.
[[nodiscard]] bool has_compare_and_set(std::string_view version) noexcept;

/// `timeout client` may end a request that waits although it is complete: below 2.8, and for a
/// version that cannot be parsed (docs/haproxy-versions.md).
[[nodiscard]] bool may_cut_complete_requests(std::string_view version) noexcept;

/// It has the command `wait`: 3.0 and later. False for a version that cannot be parsed.
[[nodiscard]] bool has_wait(std::string_view version) noexcept;

}  // namespace stillgate::runtime_api
