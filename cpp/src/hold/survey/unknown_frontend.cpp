// Suggesting the frontend that was meant.
#include "unknown_frontend.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace stillgate::hold {
namespace {

constexpr std::size_t most_shown = 10;

/// How many letters have to be changed, added or left out.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

/// Empty: none is near.
std::string_view nearest(const std::vector<std::string>& names, std::string_view wanted) {
  std::string_view best;
  std::size_t least = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t apart = name.starts_with(wanted) || wanted.starts_with(name)
                                  ? std::min<std::size_t>(1, distance(name, wanted))
                                  : distance(name, wanted);
    if (apart >= least) continue;
    least = apart;
    best = name;
  }
  return best;
}

}  // namespace

Error unknown_frontend(const Seen& seen, std::string_view name) {
  std::string words = seen.has_backend(name)
                          ? fmt::format("'{}' is a backend here, and only frontends are held", name)
                          : fmt::format("this HAProxy has no frontend '{}'", name);
  const std::size_t shown = std::min(seen.names.size(), most_shown);
  if (shown > 0) {
    words += fmt::format("; it has: {}",
                         fmt::join(seen.names.begin(),
                                   seen.names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
    if (seen.names.size() > shown) words += fmt::format(" and {} more", seen.names.size() - shown);
    const auto meant = nearest(seen.names, name);
    if (!meant.empty()) words += fmt::format(". Did you mean '{}'?", meant);
  }
  return {Errc::no_such_frontend, std::move(words)};
}

}  // namespace stillgate::hold
