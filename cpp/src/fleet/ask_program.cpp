// Starting a program in a process group of its own, and reading what it writes.
#include "ask_program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stillgate::fleet {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds slice{20};  ///< so soon it is seen that the caller stops
constexpr std::size_t longest_answer = 4096;

std::string system_message(int number) { return std::system_category().message(number); }

/// Until its end, or that of the time. False: it was not read to its end.
bool read_all(int fd, std::string& text, milliseconds patience, const std::stop_token& stop) {
  const auto until = Clock::now() + patience;
  while (!stop.stop_requested() && Clock::now() < until) {
    pollfd watched{fd, POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(slice.count())) <= 0) continue;
    std::array<char, 1024> piece{};
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    if (text.size() < longest_answer) text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return false;
}

int start(const std::vector<std::string>& words, int output, pid_t& child) {
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes{};
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  arguments.reserve(copies.size() + 1);
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int error =
      ::posix_spawnp(&child, arguments.front(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

int end_child(pid_t child) {
  int status = 0;
  pid_t found = 0;
  while ((found = ::waitpid(child, &status, WNOHANG)) < 0 && errno == EINTR) {
  }
  if (found != 0) return status;
  ::kill(-child, SIGKILL);
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

ProgramAnswer ask_program(const std::vector<std::string>& words, milliseconds patience,
                          const std::stop_token& stop) {
  std::array<int, 2> pipe{-1, -1};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {false, system_message(errno)};
  pid_t child = 0;
  const int error = start(words, pipe[1], child);
  ::close(pipe[1]);
  ProgramAnswer answer;
  if (error != 0) {
    answer.text = system_message(error);
  } else {
    const bool whole = read_all(pipe[0], answer.text, patience, stop);
    int status = 0;
    // It has closed its output, and so is about to end.
    if (whole) {
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
    } else {
      end_child(child);
      answer.text += "(no answer in time)";
    }
    answer.ended_well = whole && status == 0;
  }
  ::close(pipe[0]);
  while (!answer.text.empty() && answer.text.back() == '\n') answer.text.pop_back();
  return answer;
}

}  // namespace stillgate::fleet
