// Makes the settings of a destination from the lines that apply to it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <stillgate/error.hpp>

#include "directive.hpp"
#include "settings.hpp"

namespace stillgate::transport::ssh {

/// The lines that apply, the first for each keyword. Points into the configuration.
class EffectiveLines {
 public:
  void take(const Directive& directive);

  [[nodiscard]] const Directive* first(Keyword keyword) const;
  /// All lines of a keyword that gathers: IdentityFile, CertificateFile.
  [[nodiscard]] std::vector<const Directive*> all(Keyword keyword) const;

 private:
  std::multimap<Keyword, const Directive*> directives_;
};

/// What to connect to, in lower case. Error: ssh_config.
[[nodiscard]] Result<std::string> host_name(const EffectiveLines& lines,
                                            const Destination& destination);

[[nodiscard]] std::string remote_user(const EffectiveLines& lines, const Destination& destination,
                                      const LocalContext& local);

/// `name` is that of host_name(). Error: ssh_config.
[[nodiscard]] Result<Settings> resolve_settings(const EffectiveLines& lines, std::string name,
                                                const Destination& destination,
                                                const LocalContext& local);

}  // namespace stillgate::transport::ssh
