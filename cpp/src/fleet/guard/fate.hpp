// What would end a guard together with whoever starts it: judged from what /proc and systemd say.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stillgate::fleet {

/// One process, as its /proc/PID/status has it.
struct ProcessStatus {
  std::string name;
  long parent{0};  ///< 0: outside of the PID namespace of this /proc
  /// Its pid in each PID namespace, from that of this /proc to its own.
  std::vector<long> pids;
};

/// Nothing, if a line that is needed is missing.
[[nodiscard]] std::optional<ProcessStatus> parse_status(std::string_view text);

/// Where a process stands among others.
struct Descent {
  bool initial_namespace{false};  ///< of the machine: who is PID 1 there ends with the machine
  bool is_first{false};           ///< this process is PID 1
  /// This process, its parent and so on, to PID 1 or to the last that can be seen from here.
  std::vector<ProcessStatus> ancestry;
  /// The name of PID 1, where it can be seen.
  std::string first_name;
  /// The variable by which a CI runner tells that it is one; empty: none.
  std::string runner;
};

/// Why the end of a container's (PID namespace's) first process, or of the container, ends a guard
/// that is started now; empty: it outlives its starter.
[[nodiscard]] std::string why_container_ends_it(const Descent& descent);

/// A service of systemd's.
struct Unit {
  std::string name;
  bool of_user{false};  ///< of the user's own systemd
};

/// The service that a process is in, by its /proc/PID/cgroup; nothing: in none, as after a login.
[[nodiscard]] std::optional<Unit> service_of(std::string_view cgroup);

/// Asks systemd what it does with what a service leaves behind.
[[nodiscard]] std::vector<std::string> question_about(const Unit& unit);
/// The KillMode of a service that ends them, from the answer; `unknown` where there is none. Empty:
/// it leaves them alone.
[[nodiscard]] std::string kill_mode(std::string_view answer);

/// A command to put in front of another one: that runs in a scope of its own.
[[nodiscard]] std::vector<std::string> way_out_of(const Unit& unit);
[[nodiscard]] std::string why_service_ends_it(const Unit& unit, std::string_view kill_mode,
                                              std::string_view systemd_run_said);

/// How CI runners find what their jobs leave behind. A guard's environment has none of it.
[[nodiscard]] bool is_mark_of_runner(std::string_view entry);
/// A variable by which a CI runner tells that it is one.
[[nodiscard]] const std::vector<std::string>& variables_of_runners();

}  // namespace stillgate::fleet
