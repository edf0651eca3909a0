// Reading and raising RLIMIT_NOFILE, and counting open files.
#include "file_limit.hpp"

#include <algorithm>

#include <dirent.h>
#include <sys/resource.h>

namespace stillgate::engine {
namespace {

// For the event loop, the journal, and what the process opens later.
constexpr std::size_t reserve = 32;

std::size_t open_files() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return reserve;
  std::size_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

}  // namespace

std::size_t connection_capacity(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const std::size_t needed = wanted + open_files() + reserve;
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < needed) {
    const rlim_t soft = limit.rlim_cur;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY ? rlim_t{needed} : std::min(rlim_t{needed}, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = soft;
  }
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed) return wanted;
  const std::size_t taken = needed - wanted;
  return limit.rlim_cur > taken ? limit.rlim_cur - taken : 1;
}

}  // namespace stillgate::engine
