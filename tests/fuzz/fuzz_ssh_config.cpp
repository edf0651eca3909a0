// Fuzzes ssh_config: never a crash, the same twice, and what is taken from it stays in its bounds.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "require.hpp"
#include "transport/ssh/config/config.hpp"

namespace ssh = stillgate::transport::ssh;
using stillgate::Errc;
using stillgate::Result;

namespace {

ssh::LocalContext local() {
  ssh::LocalContext here;
  here.home = "/home/me";
  here.user = "me";
  here.agent = "/run/agent";
  here.local_host = "here.example";
  here.environment = [](const std::string& name) {
    return name == "HOME" ? std::optional<std::string>("/home/me") : std::nullopt;
  };
  return here;
}

/// Includes find the text itself, a few times.
Result<ssh::Config> parse(const std::string& text) {
  int left = 3;
  return ssh::Config::parse(text, "file", local(), [&](const std::string& pattern) {
    REQUIRE(pattern.starts_with('/'));
    std::vector<ssh::Config::Source> sources;
    if (left-- > 0) sources.push_back({"included", text});
    return Result(sources);
  });
}

void check(const ssh::Settings& settings, const ssh::Settings& again) {
  REQUIRE(settings.port > 0);
  REQUIRE(settings.host_name == again.host_name && settings.user == again.user);
  REQUIRE(settings.identity_files == again.identity_files && settings.jumps == again.jumps);
  REQUIRE(settings.proxy_command == again.proxy_command);
  REQUIRE(settings.jumps.empty() || settings.proxy_command.empty());
  REQUIRE(settings.identity_files_named || settings.identity_files.size() == 3);
  REQUIRE(!settings.connect_timeout || settings.connect_timeout->count() > 0);
  REQUIRE(!settings.identity_agent || !settings.identity_agent->empty());
  for (const auto& hop : settings.jumps) REQUIRE(!hop.user || !hop.user->empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto config = parse(text);
  const auto twice = parse(text);
  REQUIRE(static_cast<bool>(config) == static_cast<bool>(twice));
  if (!config) {
    REQUIRE(config.error().code == Errc::ssh_config);
    REQUIRE(config.error() == twice.error());
    return 0;
  }
  // What stands first wins, whatever follows.
  const auto first = parse("Port 7\nUser first\n" + text);
  const auto told =
      first ? first->settings({"lb1", {}, {}}, local()) : Result<ssh::Settings>(first.error());
  REQUIRE(!told || (told->user == "first" && told->port == 7));
  for (const char* host : {"lb1", "a.example"}) {
    const auto settings = config->settings({host, {}, {}}, local());
    const auto again = twice->settings({host, {}, {}}, local());
    REQUIRE(static_cast<bool>(settings) == static_cast<bool>(again));
    if (settings) {
      check(*settings, *again);
    } else {
      REQUIRE(settings.error().code == Errc::ssh_config);
    }
    const auto asked = config->settings({host, "asked", 4444}, local());
    REQUIRE(!asked || (asked->user == "asked" && asked->port == 4444));
  }
  return 0;
}
