// A file's whole text, its owner and its mode.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

namespace stillgate::transport::ssh {

struct FileText {
  std::string text;
  uid_t owner{0};
  mode_t mode{0};
};

/// nullopt: it cannot be read; errno has the reason, EFBIG for more than `most` bytes. Not
/// std::ifstream, which throws for a folder.
[[nodiscard]] std::optional<FileText> read_file(const std::string& path,
                                                std::size_t most = std::string::npos);

}  // namespace stillgate::transport::ssh
