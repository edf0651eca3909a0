// Logs in: offers keys in order, and reports why none was accepted.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <libssh2.h>
#include <boost/asio/io_context.hpp>

#include <stillgate/error.hpp>

#include "agent.hpp"
#include "route.hpp"
#include "transport/ssh/base/turns.hpp"

namespace stillgate::transport::ssh {

/// Makes attempts in ssh's order: the agent's keys that are configured, its other keys, then key
/// files. Not thread-safe: use it on the thread of its io_context.
class Login {
 public:
  struct Context {
    boost::asio::io_context& io;
    Turns& turns;
    /// Called when the agent has answered: call step() again. May destroy the login.
    std::function<void()> wake;
  };

  /// All must outlive it.
  Login(LIBSSH2_SESSION* session, const Route& route, Context context);
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  /// LIBSSH2_ERROR_EAGAIN: call again when the socket is ready, or when woken. 0: logged in. Else
  /// refused for good.
  int step();
  /// Only wake() makes progress now, not the socket.
  [[nodiscard]] bool asks_agent() const noexcept { return agent_ && agent_->asking(); }
  /// For a timeout's message: what the login waits for, if not the server.
  [[nodiscard]] std::string waits_for() const;
  /// The reason, after step() has returned an error.
  [[nodiscard]] Error refusal() const;

 private:
  struct Attempt {
    const AgentKey* agent_key{nullptr};
    std::shared_ptr<const KeyFile> file;
    bool with_certificate{false};
    bool password{false};
  };

  void list_attempts();
  void add_agent_keys();
  void add_files();
  void leave_out_forbidden();
  static std::string_view type_of(const Attempt& attempt);
  static std::string name_of(const Attempt& attempt);
  int offer(const Attempt& attempt);
  int offer_agent_key(const AgentKey& key);
  int offer_file(const Attempt& attempt);
  int offer_password();
  static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(sign_by_agent);
  static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(answer_prompts);
  void note_failure(const Attempt& attempt, int code);

  LIBSSH2_SESSION* session_;
  const Route& route_;
  Context context_;
  std::optional<Agent> agent_;
  bool listing_{false};
  std::vector<AgentKey> agent_keys_;
  bool signing_{false};
  std::optional<std::string> signature_;
  std::vector<Attempt> attempts_;
  std::size_t next_{0};
  bool listing_methods_{false};
  bool has_passphrase_{false};  ///< of the current attempt
  std::vector<std::string> offered_;
  std::vector<std::string> unusable_;
  std::vector<std::string> without_private_half_;
  std::string server_methods_;
  std::string server_message_;
};

}  // namespace stillgate::transport::ssh
