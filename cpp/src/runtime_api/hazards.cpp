// The table of the resume crash by branch.
#include "hazards.hpp"

#include <array>

#include <fmt/format.h>

#include "release.hpp"

namespace stillgate::runtime_api {
namespace {

struct Range {
  Release first;         ///< the first that crashes
  Release fixed;         ///< the first that does not any more
  bool known_fix{true};  ///< false: `fixed` is only the end of the branch
};

constexpr Release end_of(int major, int minor) { return {major, minor, 10'000}; }

// Seen on 2.6.12, 2.8.0 and 3.0.0; the other borders are read off the branches' history.
// 2.5 asked for the backport that brought the deadlock, and neither border is known; 2.7 got no
// fix that could be found.
constexpr std::array affected{
    Range{{2, 4, 19}, {2, 4, 28}},
    Range{{2, 5, 0}, end_of(2, 5), false},
    Range{{2, 6, 6}, {2, 6, 20}},
    Range{Release::dev(2, 7, 0), end_of(2, 7), false},
    Range{Release::dev(2, 8, 0), {2, 8, 12}},
    Range{Release::dev(2, 9, 0), {2, 9, 12}},
    Range{Release::dev(3, 0, 0), {3, 0, 6}},
    Range{Release::dev(3, 1, 0), Release::dev(3, 1, 9)},
};

std::string show(const Release& release) {
  if (release.patch < 0) {
    return fmt::format("{}.{}-dev{}", release.major, release.minor,
                       release.patch - Release::dev_base);
  }
  return fmt::format("{}.{}.{}", release.major, release.minor, release.patch);
}

}  // namespace

std::optional<ResumeCrash> resume_crash(std::string_view version) {
  const auto release = Release::parse(version);
  if (!release) {
    return ResumeCrash{fmt::format("version '{}' is not a release number, so it is unknown whether "
                                   "this HAProxy crashes on resume",
                                   version),
                       ""};
  }
  for (const Range& range : affected) {
    if (*release < range.first || *release >= range.fixed) continue;
    return ResumeCrash{
        fmt::format("HAProxy {} crashes when a held frontend with waiting clients is resumed "
                    "(haproxy issue 2726)",
                    version),
        range.known_fix ? show(range.fixed) : ""};
  }
  return std::nullopt;
}

}  // namespace stillgate::runtime_api
