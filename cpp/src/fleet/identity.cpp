// Asking the system for user, host, random numbers and the state folder.
#include "identity.hpp"

#include <array>
#include <cstdlib>
#include <random>

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <stillgate/fleet.hpp>

namespace stillgate {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::filesystem::path state_directory() {
  if (const auto own = variable("STILLGATE_STATE_DIR"); !own.empty()) return own;
  if (const auto xdg = variable("XDG_STATE_HOME"); !xdg.empty()) {
    return std::filesystem::path(xdg) / "stillgate";
  }
  const auto home = variable("HOME");
  if (::geteuid() == 0 || home.empty()) return "/var/lib/stillgate";
  return std::filesystem::path(home) / ".local/state/stillgate";
}

const char* version() noexcept { return STILLGATE_VERSION; }

namespace fleet {

std::string default_owner() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::array<char, 1024> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found);
  const std::string user =
      found != nullptr ? std::string(found->pw_name) : fmt::format("uid{}", ::geteuid());
  return fmt::format("{}@{}", user, host[0] != '\0' ? host.data() : "localhost");
}

std::string new_id() {
  std::random_device source;
  return fmt::format("{:08x}{:08x}", source(), source());
}

}  // namespace fleet
}  // namespace stillgate
