// The mark by which a waiting release is known in HAProxy as one of a certain hold.
#pragma once

#include <chrono>
#include <string_view>

namespace stillgate::hold {

/// A line may wait for so long at most: its mark is a timeout that must not end it.
inline constexpr std::chrono::hours longest_wait_line{23};

/// The `set timeout cli` of all lines of that hold, from one day to 23. `show sess 0x...` gives it
/// as `ioto=`, in its two largest units: so a mark has two, `4d17s`, `9d51m` or `22d8h`. Two holds
/// have the same one in 1 of 3,102 pairs. Above 24 days HAProxy's clock overflows, and 3.0.11 and
/// 3.2.26 die of it (docs/haproxy-facts.md, section 5).
[[nodiscard]] std::chrono::seconds wait_mark(std::string_view hold_id) noexcept;

}  // namespace stillgate::hold
