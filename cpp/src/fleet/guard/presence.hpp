// Which guards of a hold are alive: each locks a part of one file, and its end ends that, however
// it ended.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

namespace stillgate::fleet {

/// A guard that runs and its standby.
inline constexpr int guards_of_a_hold = 2;

/// Shows this process as a guard of that hold as long as the result lives. Null where the file
/// cannot be had. It may wait for the disk.
[[nodiscard]] std::shared_ptr<void> show_guard(const std::filesystem::path& state_folder,
                                               std::string_view hold_id);

/// How many guards of that hold are alive on this machine, as far as they are shown in this folder;
/// nothing where that cannot be read. It disturbs none of them.
[[nodiscard]] std::optional<int> count_guards(const std::filesystem::path& state_folder,
                                              std::string_view hold_id);

}  // namespace stillgate::fleet
