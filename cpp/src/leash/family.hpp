// All that this process has started, and what that has started: found in /proc. A process that
// loses its parent becomes this one's child (PR_SET_CHILD_SUBREAPER), so none gets out of sight by
// a second fork, or by a session of its own.
#pragma once

#include <vector>

#include <dirent.h>
#include <sys/types.h>

namespace stillgate::leash {

/// One process in /proc.
struct Relative {
  pid_t pid;
  pid_t parent;
  bool dead;  ///< nobody has waited for it yet
};

/// Those below `top`, without `top`.
[[nodiscard]] std::vector<pid_t> below(const std::vector<Relative>& all, pid_t top);

class Family {
 public:
  /// From now on the orphans below this process are its children. Opens what it will need.
  Family();
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family();

  /// Whether the family can be found at all.
  [[nodiscard]] bool is_visible() const noexcept { return proc_ != nullptr; }
  /// Sends `number` once to each, those that are started meanwhile too, and wakes the stopped.
  void tell(int number);
  /// Sends SIGKILL to each; more may be started meanwhile.
  void kill();

 private:
  [[nodiscard]] std::vector<pid_t> find();

  DIR* proc_;
};

}  // namespace stillgate::leash
