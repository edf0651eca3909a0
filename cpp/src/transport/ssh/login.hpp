// Logging in: which keys are offered in which order, and what is said when none is taken.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <libssh2.h>

#include <stillgate/error.hpp>

#include "agent.hpp"
#include "route.hpp"

namespace stillgate::transport::ssh {

/// One attempt after the other, as ssh has it: the agent's keys that are named, its others, then
/// the files. Not thread-safe.
class Login {
 public:
  /// Both must outlive it.
  Login(LIBSSH2_SESSION* session, const Route& route);

  /// LIBSSH2_ERROR_EAGAIN: again when the socket is ready; 0: logged in; else refused for good.
  int step();
  /// Why; after step() has said so.
  [[nodiscard]] Error refusal() const;

 private:
  struct Attempt {
    const Agent::Key* agent_key{nullptr};
    std::shared_ptr<const KeyFile> file;
    bool with_certificate{false};
    bool password{false};
  };

  void add_agent_keys();
  void add_files();
  int attempt(const Attempt& one);
  int offer_file(const Attempt& one);
  int offer_password();
  static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(answer_prompts);
  void note_failure(const Attempt& one, int code);

  LIBSSH2_SESSION* session_;
  const Route& route_;
  std::optional<Agent> agent_;
  std::vector<Attempt> attempts_;
  std::size_t next_{0};
  bool asking_what_is_taken_{false};
  bool has_passphrase_{false};  ///< the attempt that is under way
  std::vector<std::string> offered_;
  std::vector<std::string> unusable_;
  std::string taken_by_server_;
  std::string said_;
};

}  // namespace stillgate::transport::ssh
