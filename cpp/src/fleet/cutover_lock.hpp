// One cutover at a time of each name and at each HAProxy, among the processes that share a state
// folder: what stood before one of them is not what another has just put there.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <stillgate/error.hpp>

#include "files/file.hpp"

namespace stillgate::fleet {

/// Ends with this object, and with its process however that dies.
class CutoverLock {
 public:
  /// Never waits. Errors: cutover_busy, journal_failed.
  [[nodiscard]] static Result<CutoverLock> take(const std::filesystem::path& state_folder,
                                                const std::string& name,
                                                const std::vector<std::string>& endpoints);

 private:
  explicit CutoverLock(std::unique_ptr<files::File> file) : file_(std::move(file)) {}

  std::unique_ptr<files::File> file_;
};

}  // namespace stillgate::fleet
