// Parsing HAProxy's version strings.
#include "release.hpp"

#include <charconv>
#include <system_error>

namespace stillgate::runtime_api {
namespace {

constexpr int largest = 9999;

/// Takes a number off the front.
std::optional<int> take_number(std::string_view& text) noexcept {
  int value = 0;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || value < 0 || value > largest) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view expected) noexcept {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

}  // namespace

std::optional<Release> Release::parse(std::string_view text) noexcept {
  const auto major = take_number(text);
  if (!major || !take(text, ".")) return std::nullopt;
  const auto minor = take_number(text);
  if (!minor) return std::nullopt;
  if (take(text, "-dev")) {
    const auto n = take_number(text);
    if (!n || *n >= -dev_base) return std::nullopt;
    return dev(*major, *minor, *n);
  }
  if (!take(text, ".")) return std::nullopt;
  const auto patch = take_number(text);
  if (!patch) return std::nullopt;
  if (!text.empty() && text[0] != '-' && text[0] != '+' && text[0] != '~') return std::nullopt;
  return Release{*major, *minor, *patch};
}

bool has_compare_and_set(std::string_view version) noexcept {
  constexpr Release first = Release{2, 6, Release::dev_base};
  const auto release = Release::parse(version);
  return release && *release >= first;
}

bool may_cut_complete_requests(std::string_view version) noexcept {
  const auto release = Release::parse(version);
  return !release || *release < Release{2, 8, Release::dev_base};
}

bool has_wait(std::string_view version) noexcept {
  const auto release = Release::parse(version);
  return release && *release >= Release{3, 0, 0};
}

}  // namespace stillgate::runtime_api
