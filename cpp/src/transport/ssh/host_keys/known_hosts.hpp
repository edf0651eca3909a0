// The keys that hosts are known by: known_hosts files, read and written as ssh does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <stillgate/error.hpp>

#include "hashed_name.hpp"

namespace stillgate::transport::ssh {

/// The lines of one file or of several, in order. A value type; safe to read from several threads.
class KnownHosts {
 public:
  enum class Verdict {
    known,
    unknown,
    changed,     ///< the host is known by another key of the same type
    other_type,  ///< only keys of other types are known, which to ssh is a changed key, too:
                 ///< an attacker in between only has to offer another type
    revoked,
  };
  struct Found {
    Verdict verdict{Verdict::unknown};
    std::string file;  ///< of the line that decided; empty where there is none
    unsigned line{0};
  };

  /// Lines that cannot be understood are skipped, as ssh does.
  static KnownHosts parse(std::string_view text, std::string file);

  /// The lines of all files that can be read; see unread().
  static KnownHosts load(const std::vector<std::string>& files);

  /// Adds another file's lines after the existing ones.
  void add(std::string_view text, std::string file);

  /// `names` are those of lookup_names(). The first one decides; by the others a host can only be
  /// known, or its key revoked. `blob` is the key as it is on the wire.
  [[nodiscard]] Found check(const std::vector<std::string>& names, std::string_view blob) const;

  /// The types of the keys known for that name, in the order of the files, each once.
  [[nodiscard]] std::vector<std::string> key_types(std::string_view name) const;

  /// The files that are there and cannot be read, and why: what they have is not known, so no host
  /// is new.
  [[nodiscard]] const std::vector<std::string>& unread() const noexcept { return unread_; }

 private:
  enum class Marker { none, revoked };
  struct Line {
    Marker marker{Marker::none};
    std::string names;  ///< a list of patterns; empty if hashed
    std::optional<HashedName> hashed;
    std::string blob;
    std::size_t file{0};  ///< an index into files_
    unsigned number{0};

    [[nodiscard]] bool is_for(std::string_view name) const;
  };

  static std::optional<Line> parse_line(std::string_view text);
  [[nodiscard]] Found found(Verdict verdict, const Line& line) const;

  std::vector<std::string> files_;
  std::vector<std::string> unread_;
  std::vector<Line> lines_;
};

/// The names by which ssh finds a host's key, the decisive one first: only the HostKeyAlias if
/// there is one, `host` for port 22, else `[host]:port` and then `host`.
[[nodiscard]] std::vector<std::string> lookup_names(std::string_view host, std::uint16_t port,
                                                    std::string_view host_key_alias = {});

/// The type that the key itself contains, such as "ssh-ed25519"; empty if it is not a key.
[[nodiscard]] std::string_view key_type(std::string_view blob);

/// "SHA256:" and 43 characters, as ssh prints it.
[[nodiscard]] std::string fingerprint(std::string_view blob);

/// A line of a known_hosts file, with its line feed. `name` is the first of lookup_names();
/// `hashed` writes it as a salted hash (HashKnownHosts).
[[nodiscard]] std::string known_hosts_line(std::string_view name, std::string_view blob,
                                           bool hashed);

/// Appends a line to the file. Creates it and its folder, for the user only, if they are missing.
/// Error: system_error.
[[nodiscard]] std::optional<Error> append_known_hosts_line(const std::string& file,
                                                           std::string_view line);

}  // namespace stillgate::transport::ssh
