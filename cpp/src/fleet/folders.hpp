// Folders that nobody else may write to.
#pragma once

#include <filesystem>

#include "files/file.hpp"

namespace stillgate::fleet {

/// Makes the folder of the journal and the history with what is missing above it, each for its
/// owner only, whatever the umask is. Where it is there, is ours and has nothing but ours in it,
/// others lose the right to write to it. Fault: it cannot be made, or others can write it.
[[nodiscard]] files::Fault make_state_folder(const std::filesystem::path& path);

/// The same for one that may be missing, and is not made.
[[nodiscard]] files::Fault check_state_folder(const std::filesystem::path& path);

/// Makes a folder to which nobody else writes; what is above it is there. Fault: it cannot be made,
/// or is somebody else's.
[[nodiscard]] files::Fault make_private_folder(const std::filesystem::path& path);

/// The same for one that may be missing, and is not made.
[[nodiscard]] files::Fault check_private_folder(const std::filesystem::path& path);

}  // namespace stillgate::fleet
