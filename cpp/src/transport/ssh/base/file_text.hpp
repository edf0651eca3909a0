// A file's whole text, with what tells whose it is.
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

/// nullopt: it cannot be read, and errno says why: EFBIG where it has more than `most` bytes.
/// std::ifstream throws where it is a folder.
[[nodiscard]] std::optional<FileText> read_file(const std::string& path,
                                                std::size_t most = std::string::npos);

}  // namespace stillgate::transport::ssh
