// One byte of one file is locked for each name and each endpoint: no file per lock is left behind.
#include "cutover_lock.hpp"

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

#include <fcntl.h>

#include <fmt/format.h>

#include "folders.hpp"

namespace stillgate::fleet {
namespace {

Error failed(const std::filesystem::path& path, const files::Fault& fault) {
  return {Errc::journal_failed,
          fmt::format("journal: cannot lock {}: {}; set $STILLGATE_STATE_DIR to use another folder",
                      path.string(), fault.why),
          {},
          {},
          {"journal"}};
}

/// The same in every release: two of them may meet (FNV-1a).
off_t place_of(std::string_view what) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : what) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  constexpr std::uint64_t largest = std::uint64_t{1} << 62U;
  return static_cast<off_t>(hash % largest);
}

/// 0, or errno's number. By the open file, not by the process: two threads are two callers.
int lock_byte(int descriptor, off_t place) {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = place;
  range.l_len = 1;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg)
  return ::fcntl(descriptor, F_OFD_SETLK, &range) == 0 ? 0 : errno;
}

Error busy(const std::string& what) {
  return {Errc::cutover_busy,
          fmt::format("{} on this machine is under way; nothing was changed; wait until it is done",
                      what)};
}

}  // namespace

Result<CutoverLock> CutoverLock::take(const std::filesystem::path& state_folder,
                                      const std::string& name,
                                      const std::vector<std::string>& endpoints) {
  const auto folder = state_folder / "cutovers";
  if (const auto fault = make_state_folder(state_folder); !fault.why.empty()) {
    return failed(state_folder, fault);
  }
  if (const auto fault = make_private_folder(folder); !fault.why.empty()) {
    return failed(folder, fault);
  }
  const auto path = folder / "lock";
  auto file = std::make_unique<files::File>(path, O_RDWR | O_CREAT);
  if (!file->is_open()) return failed(path, file->fault());
  std::vector<std::pair<std::string, std::string>> wanted{
      {"cutover " + name, fmt::format("another cutover '{}'", name)}};
  for (const std::string& url : endpoints) {
    wanted.emplace_back("endpoint " + url, fmt::format("another cutover at {}", url));
  }
  for (const auto& [key, words] : wanted) {
    const int number = lock_byte(file->get(), place_of(key));
    if (number == EAGAIN || number == EACCES) return busy(words);
    if (number != 0) return failed(path, files::Fault::of(number));
  }
  return CutoverLock(std::move(file));
}

}  // namespace stillgate::fleet
