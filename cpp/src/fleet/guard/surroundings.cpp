// Collecting the facts that fate.cpp judges.
#include "surroundings.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "fate.hpp"
#include "fleet/ask_program.hpp"

namespace stillgate::fleet {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds patience{2000};
constexpr std::size_t longest_ancestry = 1000;
/// The kernel's number of the PID namespace that it started with (PROC_PID_INIT_INO).
constexpr ino_t initial_namespace = 0xEFFFFFFC;

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string environment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

Descent descent() {
  Descent found;
  struct stat link {};
  found.initial_namespace =
      ::stat("/proc/self/ns/pid", &link) == 0 && link.st_ino == initial_namespace;
  found.is_first = ::getpid() == 1;
  if (found.initial_namespace) return found;
  auto status = parse_status(read("/proc/self/status"));
  while (status && found.ancestry.size() < longest_ancestry) {
    found.ancestry.push_back(*status);
    if (status->parent == 0) break;
    status = parse_status(read(fmt::format("/proc/{}/status", status->parent)));
  }
  if (const auto first = parse_status(read("/proc/1/status"))) found.first_name = first->name;
  for (const std::string& name : variables_of_runners()) {
    if (!found.runner.empty() || environment(name).empty()) continue;
    found.runner = name;
  }
  return found;
}

/// Whether systemd is the init of this machine or container, as sd_booted(3) asks it.
bool systemd_runs() {
  struct stat found {};
  return ::stat("/run/systemd/system", &found) == 0;
}

}  // namespace

GuardFate fate_of_guard(const std::stop_token& stop) {
  GuardFate fate;
  fate.why = why_container_ends_it(descent());
  if (!fate.why.empty() || !systemd_runs()) return fate;
  const auto unit = service_of(read("/proc/self/cgroup"));
  if (!unit) return fate;
  const auto asked = ask_program(question_about(*unit), patience, stop);
  const std::string mode = kill_mode(asked.ended_well ? asked.text : "");
  if (mode.empty()) return fate;
  auto way_out = way_out_of(*unit);
  auto trial = way_out;
  trial.emplace_back("true");
  const auto tried = ask_program(trial, patience, stop);
  if (tried.ended_well) {
    fate.way_out = std::move(way_out);
  } else {
    fate.why = why_service_ends_it(*unit, mode, tried.text);
  }
  return fate;
}

bool shared_fate_is_accepted() {
  const std::string value = environment("STILLGATE_ACCEPT_SHARED_FATE");
  return !value.empty() && value != "0";
}

}  // namespace stillgate::fleet
