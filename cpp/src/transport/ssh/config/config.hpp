// The ssh_config files, read as ssh reads them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

#include "directive.hpp"
#include "settings.hpp"

namespace stillgate::transport::ssh {

/// Read once, asked for each destination. A value type; safe to read from several threads.
/// It differs from ssh in three points: unused keywords are ignored, `Host` ignores case (an
/// endpoint's host is lower case), and `Match exec` is an error where ssh would run the command.
class Config {
 public:
  /// One file that an Include means.
  struct Source {
    std::string file;
    std::string text;
  };
  /// The files that an absolute glob pattern means, sorted; none is fine.
  using Loader = std::function<Result<std::vector<Source>>(const std::string& pattern)>;

  /// Files of one rank after the other, the user's before the system's; a missing one is fine.
  /// Those below /etc/ssh are the system's. Error: ssh_config.
  static Result<Config> load(const std::vector<std::filesystem::path>& files,
                             const LocalContext& local);

  /// Without a loader no Include means any file. Error: ssh_config.
  static Result<Config> parse(std::string_view text, const std::string& file,
                              const LocalContext& local, const Loader& loader = {});

  /// Error: ssh_config, where an expansion fails or a Match that cannot be evaluated decides.
  [[nodiscard]] Result<Settings> settings(const Destination& destination,
                                          const LocalContext& local) const;

 private:
  std::vector<Directive> directives_;
};

}  // namespace stillgate::transport::ssh
