// Finding the guard's program and starting it.
#include "launch.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <fmt/format.h>

#include <stillgate/fleet.hpp>

#include "fate.hpp"

namespace stillgate {
namespace {

namespace fs = std::filesystem;

bool can_run(const fs::path& path) { return ::access(path.c_str(), X_OK) == 0; }

}  // namespace

std::string guard_program() {
  constexpr const char* file = "stillgate-guard";
  if (const char* const own = std::getenv("STILLGATE_GUARD"); own != nullptr && *own != '\0') {
    return own;
  }
  Dl_info here{};
  fs::path folder;
  if (::dladdr(reinterpret_cast<const void*>(&guard_program), &here) != 0 &&
      here.dli_fname != nullptr) {
    folder = fs::path(here.dli_fname).parent_path();
  }
  // Its own comes first: another installation's may be of another release.
  const fs::path beside = folder / file;
  if (can_run(beside)) return beside.string();
  const fs::path moved = folder / STILLGATE_LIBEXEC_FROM_LIBRARY / file;
  if (can_run(moved)) return moved.lexically_normal().string();
  return (fs::path(STILLGATE_LIBEXEC) / file).string();
}

}  // namespace stillgate

namespace stillgate::fleet {
namespace {

/// Our environment, without what tells a CI runner that this process was left behind by a job.
std::vector<char*> guard_environment() {
  std::vector<char*> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!is_mark_of_runner(*entry)) entries.push_back(*entry);
  }
  entries.push_back(nullptr);
  return entries;
}

}  // namespace

namespace {

/// `words`: its arguments. Only with `search` is the program looked for on the PATH.
Result<pid_t> spawn(int input, int output, std::vector<std::string> words,
                    const std::string& program, bool search) {
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // What is no guard can be killed with all that it started.
  posix_spawnattr_t attributes{};
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  auto environment = guard_environment();
  const auto start = search ? ::posix_spawnp : ::posix_spawn;
  const int error =
      start(&child, program.c_str(), &actions, &attributes, arguments.data(), environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return child;
  return Error{Errc::guard_failed,
               fmt::format("{}: {}", program, std::system_category().message(error))};
}

}  // namespace

Result<pid_t> launch_guard(int input, int output, const std::vector<std::string>& way_out) {
  const std::string path = guard_program();
  if (way_out.empty()) return spawn(input, output, {"stillgate-guard"}, path, false);
  std::vector<std::string> words = way_out;
  words.push_back(path);
  return spawn(input, output, std::move(words), way_out.front(), true);
}

Result<pid_t> launch_prover(int control) {
  return spawn(control, control, {"stillgate-guard", "--prove"}, guard_program(), false);
}

}  // namespace stillgate::fleet
