// Error codes, the error value that all calls return, and Result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace [[gnu::visibility("default")]] stillgate {

/// One code per kind of failure. The name in `name()` is part of the JSON interface and never
/// changes. error_codes.def has all codes with their meaning; docs/errors.md says what to do.
enum class Errc {
#define STILLGATE_ERROR(code, meaning) code,
#include <stillgate/error_codes.def>
#undef STILLGATE_ERROR
};

/// The stable name of a code, such as "permission_denied".
[[nodiscard]] std::string_view name(Errc code) noexcept;

/// All codes, in the order of the enumeration. For documentation and for tests.
[[nodiscard]] const std::vector<Errc>& all_errors();

/// What went wrong: our message, and HAProxy's own words separately.
struct Error {
  Errc code{};
  std::string message;                   ///< ours: what happened and what to do next
  std::optional<std::string> haproxy{};  ///< HAProxy's own words, if it said something
  std::optional<std::string> partial{};  ///< the part of a reply that arrived before it broke off
  std::string field{};                   ///< for wrong input: the name of the field

  bool operator==(const Error&) const = default;
};

/// A value, or an Error instead. Check it with `if (result)` before you use `*result`: taking the
/// value of an error throws std::bad_variant_access, and so does error() of a value.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(*-explicit-*)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(*-explicit-*)

  [[nodiscard]] explicit operator bool() const noexcept { return state_.index() == 0; }
  [[nodiscard]] T& operator*() & { return std::get<0>(state_); }
  [[nodiscard]] const T& operator*() const& { return std::get<0>(state_); }
  [[nodiscard]] T&& operator*() && { return std::get<0>(std::move(state_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(state_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};
// clang-format off
}  // namespace stillgate, whose attribute clang-format takes for a part of its name
