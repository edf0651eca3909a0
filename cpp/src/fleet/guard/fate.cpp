// The rules by which a guard is taken to outlive its starter, or not (docs/guard.md).
#include "fate.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/numbers.hpp"

namespace stillgate::fleet {
namespace {

using Words = std::vector<std::string_view>;

Words split(std::string_view text, std::string_view between) {
  Words words;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(between);
    if (end != 0) words.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return words;
}

/// Inits, and servers that start others' commands: what runs until the machine or the container is
/// stopped, whatever it started has ended.
constexpr std::array staying{"systemd",  "init",  "runit",       "runit-init",  "s6-svscan",
                             "finit",    "procd", "openrc-init", "supervisord", "sshd",
                             "dropbear", "cron",  "crond"};
/// Is PID 1 in a pod whose containers share their PID namespace, and ends with none of them.
constexpr std::string_view pod = "pause";

bool stays(std::string_view name) {
  // WSL calls it init(DISTRIBUTION).
  return name.starts_with("init(") ||
         std::find(staying.begin(), staying.end(), name) != staying.end();
}

constexpr std::string_view nobody_ends_it =
    "then the guard dies with it, and nothing ends the hold";

/// This process was started from outside, as by `docker exec`.
std::string why_ended_though_entered(const Descent& descent) {
  if (!descent.runner.empty()) {
    return fmt::format("this container belongs to a CI job ({} is set) and ends with the job; {}",
                       descent.runner, nobody_ends_it);
  }
  if (descent.first_name == pod) {
    return fmt::format(
        "this pod shares its PID namespace (PID 1 is '{}'), and each of its containers ends with "
        "its own first process, which cannot be seen from here; {}",
        pod, nobody_ends_it);
  }
  return {};
}

}  // namespace

std::optional<ProcessStatus> parse_status(std::string_view text) {
  ProcessStatus status;
  bool has_parent = false;
  Words pid;
  Words pids;
  for (const std::string_view line : split(text, "\n")) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    const Words values = split(line.substr(colon + 1), "\t ");
    if (values.empty()) continue;
    if (key == "Name") {
      // May contain blanks.
      status.name = line.substr(static_cast<std::size_t>(values.front().data() - line.data()));
    } else if (key == "PPid") {
      const auto number = runtime_api::parse_number<long>(values.front());
      has_parent = number.has_value();
      status.parent = number.value_or(0);
    } else if (key == "Pid") {
      pid = values;
    } else if (key == "NSpid") {
      pids = values;
    }
  }
  for (const std::string_view word : pids.empty() ? pid : pids) {
    const auto number = runtime_api::parse_number<long>(word);
    if (!number) return std::nullopt;
    status.pids.push_back(*number);
  }
  if (!has_parent || status.pids.empty()) return std::nullopt;
  return status;
}

std::string why_container_ends_it(const Descent& descent) {
  if (descent.initial_namespace) return {};
  if (descent.is_first) {
    return fmt::format("this process is PID 1 of its container (PID namespace); {}",
                       nobody_ends_it);
  }
  for (const ProcessStatus& one : descent.ancestry) {
    // Of fewer namespaces: outside of ours.
    if (one.pids.size() < descent.ancestry.front().pids.size()) {
      return why_ended_though_entered(descent);
    }
    if (one.pids.back() == 1) {
      if (stays(one.name)) return {};
      return fmt::format(
          "this command was started by '{}', which is PID 1 of its container (PID namespace); when "
          "that ends, the kernel kills all in it: {}",
          one.name, nobody_ends_it);
    }
    if (one.parent == 0) return why_ended_though_entered(descent);
  }
  return fmt::format(
      "it cannot be seen in /proc who started this command; if it was PID 1 of its container (PID "
      "namespace), {}",
      nobody_ends_it);
}

std::optional<Unit> service_of(std::string_view cgroup) {
  std::string_view path;
  for (const std::string_view line : split(cgroup, "\n")) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view kind = line.substr(first + 1, second - first - 1);
    // Where both are there, systemd keeps its units in the older one.
    if (kind == "name=systemd" || (kind.empty() && path.empty())) path = line.substr(second + 1);
  }
  const Words parts = split(path, "/");
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->ends_with(".scope") || part->ends_with(".slice")) return std::nullopt;
    if (!part->ends_with(".service")) continue;
    const bool of_user = std::any_of(std::next(part), parts.rend(), [](std::string_view above) {
      return above.starts_with("user@") && above.ends_with(".service");
    });
    return Unit{std::string(*part), of_user};
  }
  return std::nullopt;
}

std::vector<std::string> question_about(const Unit& unit) {
  std::vector<std::string> words{"systemctl"};
  if (unit.of_user) words.emplace_back("--user");
  words.insert(words.end(), {"show", "--property=KillMode", "--", unit.name});
  return words;
}

std::string kill_mode(std::string_view answer) {
  static constexpr std::string_view key = "KillMode=";
  for (const std::string_view line : split(answer, "\r\n")) {
    if (!line.starts_with(key)) continue;
    const std::string_view mode = line.substr(key.size());
    // `process` ends the main process only, `none` nothing.
    return mode == "process" || mode == "none" ? "" : std::string(mode);
  }
  return "unknown";
}

std::vector<std::string> way_out_of(const Unit& unit) {
  std::vector<std::string> words{"systemd-run"};
  if (unit.of_user) words.emplace_back("--user");
  words.insert(words.end(), {"--scope", "--collect", "--quiet", "--no-ask-password", "--"});
  return words;
}

std::string why_service_ends_it(const Unit& unit, std::string_view kill_mode,
                                std::string_view systemd_run_said) {
  return fmt::format(
      "systemd ends all processes of {} when it stops (KillMode={}), so the guard would get "
      "SIGTERM and open "
      "the hold early; and it cannot be moved out of that unit: systemd-run: {}",
      unit.name, kill_mode, systemd_run_said);
}

bool is_mark_of_runner(std::string_view entry) {
  // Jenkins: what its ProcessTreeKiller compares; GitHub and Azure: the runner's list of orphans.
  static constexpr std::array names{
      "BUILD_ID",      "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_SERVER_COOKIE",
      "HUDSON_COOKIE", "RUNNER_TRACKING_ID",  "VSTS_PROCESS_LOOKUP_ID"};
  const std::string_view name = entry.substr(0, entry.find('='));
  return std::find(names.begin(), names.end(), name) != names.end();
}

const std::vector<std::string>& variables_of_runners() {
  static const std::vector<std::string> names{"GITLAB_CI", "GITHUB_ACTIONS", "JENKINS_URL",
                                              "TF_BUILD", "CI"};
  return names;
}

}  // namespace stillgate::fleet
