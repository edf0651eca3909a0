// A control group of the command's own (cgroup v2), where one can be made. What is in it is killed
// at one stroke, whoever its parent and whoever its user is. Elsewhere there is none, and the
// family is all.
#pragma once

#include <string>
#include <string_view>

namespace stillgate::leash {

/// The folder of this process's own group, of the text of /proc/self/cgroup and of
/// /proc/self/mountinfo; empty where there is none to be seen.
[[nodiscard]] std::string own_group(std::string_view cgroup, std::string_view mounts);

class Group {
 public:
  /// Tries to make one.
  Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group();

  /// Moves the calling process into it.
  void enter() const;
  void kill() const;
  /// When it is empty.
  void remove() const;
  /// Whoever writes "1" to this descriptor kills all in it; -1: there is none.
  [[nodiscard]] int killer() const noexcept { return kill_; }

 private:
  std::string folder_;
  int processes_ = -1;
  int kill_ = -1;
};

}  // namespace stillgate::leash
