// Finding the guard's program and starting it.
#include "launch.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace stillgate::fleet {
namespace {

/// Our environment, without malloc's cache of freed memory for each thread: a guard has many
/// threads that need little. For a hundred endpoints it saves a megabyte.
std::vector<char*> guard_environment() {
  static char tunables[] = "GLIBC_TUNABLES=glibc.malloc.tcache_count=0";
  std::vector<char*> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.push_back(*entry);
  if (std::getenv("GLIBC_TUNABLES") == nullptr) entries.push_back(tunables);
  entries.push_back(nullptr);
  return entries;
}

}  // namespace

std::string guard_executable() {
  if (const char* const own = std::getenv("STILLGATE_GUARD"); own != nullptr && *own != '\0') {
    return own;
  }
  Dl_info here{};
  std::filesystem::path folder;
  if (::dladdr(reinterpret_cast<const void*>(&guard_executable), &here) != 0 &&
      here.dli_fname != nullptr) {
    folder = std::filesystem::path(here.dli_fname).parent_path();
  }
  return (folder / "stillgate-guard").string();
}

namespace {

/// `role`: its only argument, or nullptr.
Result<pid_t> spawn(int input, int output, const char* role) {
  const std::string path = guard_executable();
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::string name = "stillgate-guard";
  std::string argument = role == nullptr ? "" : role;
  std::array<char*, 3> arguments{name.data(), role == nullptr ? nullptr : argument.data(), nullptr};
  pid_t child = 0;
  auto environment = guard_environment();
  const int error =
      ::posix_spawn(&child, path.c_str(), &actions, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return child;
  return Error{Errc::guard_failed,
               fmt::format("{}: {}", path, std::system_category().message(error))};
}

}  // namespace

std::optional<std::string> launch_guard(int input, int output) {
  const auto child = spawn(input, output, nullptr);
  if (!child) return child.error().message;
  // It goes into the background: its first process ends at once.
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  return std::nullopt;
}

Result<pid_t> launch_prover(int control) { return spawn(control, control, "--prove"); }

}  // namespace stillgate::fleet
