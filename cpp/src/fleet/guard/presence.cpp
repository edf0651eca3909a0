// Locks of open file descriptions on bytes of a file, whose places follow from the hold's id.
#include "presence.hpp"

#include <algorithm>
#include <cstdint>

#include <fcntl.h>

#include <stillgate/fleet.hpp>

#include "files/file.hpp"
#include "fleet/folders.hpp"

namespace stillgate::fleet {
namespace {

/// One that is killed may still have its lock when the next one comes.
constexpr off_t slots = 4;

std::filesystem::path file_of(const std::filesystem::path& state_folder) {
  return state_folder / "guards";
}

/// FNV-1a. The file has no bytes: locks may lie beyond its end.
off_t first_slot_of(std::string_view hold_id) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : hold_id) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return static_cast<off_t>(hash >> 4U) * slots;
}

struct flock byte_at(off_t place) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = place;
  lock.l_len = 1;
  return lock;
}

}  // namespace

std::shared_ptr<void> show_guard(const std::filesystem::path& state_folder,
                                 std::string_view hold_id) {
  if (!make_state_folder(state_folder).why.empty()) return nullptr;
  auto file = std::make_shared<files::File>(file_of(state_folder), O_RDWR | O_CREAT);
  if (!file->is_open()) return nullptr;
  const off_t first = first_slot_of(hold_id);
  for (off_t slot = 0; slot < slots; ++slot) {
    auto lock = byte_at(first + slot);
    if (::fcntl(file->get(), F_OFD_SETLK, &lock) == 0) return file;
  }
  return nullptr;
}

std::optional<int> count_guards(const std::filesystem::path& state_folder,
                                std::string_view hold_id) {
  if (!check_state_folder(state_folder).why.empty()) return std::nullopt;
  const files::File file(file_of(state_folder), O_RDONLY);
  if (!file.is_open()) return std::nullopt;
  const off_t first = first_slot_of(hold_id);
  int count = 0;
  for (off_t slot = 0; slot < slots; ++slot) {
    auto lock = byte_at(first + slot);
    if (::fcntl(file.get(), F_OFD_GETLK, &lock) != 0) return std::nullopt;
    if (lock.l_type != F_UNLCK) ++count;
  }
  return std::min(count, guards_of_a_hold);
}

}  // namespace stillgate::fleet

std::optional<int> stillgate::live_guards(const std::string& hold_id) {
  return fleet::count_guards(state_directory(), hold_id);
}
