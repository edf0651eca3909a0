// The journal: records of holds in files, which survive the process that wrote them.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include <stillgate/error.hpp>

#include "hold/record/record.hpp"

namespace stillgate::fleet {

/// One file per hold in `folder`/holds. Processes may share a folder: a file is written under
/// another name, flushed and renamed, so that it is there as a whole or not at all.
class Journal {
 public:
  explicit Journal(const std::filesystem::path& folder);

  struct Loaded {
    std::vector<hold::Record> records;
    std::optional<Error> error;  ///< of the first file that cannot be read
  };
  [[nodiscard]] Loaded load() const;
  /// The record of that hold; nothing where there is none that can be read.
  [[nodiscard]] std::optional<hold::Record> find(const std::string& id) const;

  /// Returns only after the record is on the disk. One without switches is removed instead.
  /// Error: journal_failed, with the path and the system's message.
  [[nodiscard]] std::optional<Error> keep(const hold::Record& record) const;

 private:
  std::filesystem::path holds_;
};

}  // namespace stillgate::fleet
