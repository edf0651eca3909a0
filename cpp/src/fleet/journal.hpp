// The journal: records of holds and cutovers in files, which survive the process that wrote them.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <stillgate/error.hpp>

#include "hold/record/cutover_record.hpp"
#include "hold/record/record.hpp"

namespace stillgate::fleet {

/// One file per hold in `folder`/holds, and in `folder`/ended one for each that is over. Processes
/// may share a folder: a file is written under another name, flushed and renamed, so that it is
/// there as a whole or not at all.
class Journal {
 public:
  /// What is over is kept so long, and so many of them.
  static constexpr std::chrono::hours ended_kept_for{24};
  static constexpr std::size_t most_ended = 200;

  explicit Journal(const std::filesystem::path& folder);

  struct Loaded {
    std::vector<hold::Record> records;
    std::optional<Error> error;  ///< of the first file that cannot be read
  };
  [[nodiscard]] Loaded load() const;
  /// The record of one hold. One that is there and cannot be read is not a hold that was ended.
  struct Found {
    std::optional<hold::Record> record;
    bool is_missing{false};
  };
  [[nodiscard]] Found find(const std::string& id) const;

  /// Returns only after the record is on the disk. One without switches is removed instead.
  /// Error: journal_failed, with the path and the system's message.
  [[nodiscard]] std::optional<Error> keep(const hold::Record& record) const;

  /// The holds that are over, as far as they can be read; each says how it ended.
  [[nodiscard]] std::vector<hold::Record> load_ended() const;
  /// Keeps a record with those that are over. What was told of its hold stays told.
  std::optional<Error> keep_ended(const hold::Record& over) const;
  /// Moves what is over there, and leaves what is left. Where a resume takes the hold off the
  /// journal at the same moment, the resume is right, and nothing is kept.
  std::optional<Error> retire(const hold::Parted& parted) const;

  /// What stood before the cutover of that name; without rows where nothing is kept.
  [[nodiscard]] Result<hold::CutoverRecord> load_cutover(const std::string& name) const;
  /// Returns only after it is on the disk. One without rows is removed instead.
  [[nodiscard]] std::optional<Error> keep_cutover(const hold::CutoverRecord& record) const;

 private:
  std::filesystem::path holds_;
  std::filesystem::path ended_;
  std::filesystem::path cutovers_;
};

}  // namespace stillgate::fleet
