// What is known to go wrong on which HAProxy release.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stillgate::runtime_api {

/// Resuming a held frontend while a client waits deadlocks the thread that runs the command; two
/// to three seconds later the watchdog aborts the whole process and every held client gets a
/// reset. haproxy issue 2726, from commit 001328873c to a889413f5
/// (docs/haproxy-facts.md, section 1).
struct ResumeCrash {
  std::string why;       ///< a sentence for people, with the version in it
  std::string fixed_in;  ///< the first fixed release of that branch; empty where none is known
};

/// Nothing where that release is known not to crash. A version that cannot be parsed counts as
/// crashing: the operator may know better, we do not. Distributions backport: a version is a
/// hint, so the operator can overrule this.
[[nodiscard]] std::optional<ResumeCrash> resume_crash(std::string_view version);

}  // namespace stillgate::runtime_api
