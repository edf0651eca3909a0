// Asking an SSH agent, by libssh2.
#include "agent.hpp"

#include <atomic>

namespace stillgate::transport::ssh {
namespace {

std::atomic<unsigned> waiting{0};

class Waiting {
 public:
  Waiting() { ++waiting; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { --waiting; }
};

}  // namespace

unsigned waiting_for_agents() noexcept { return waiting; }

void Agent::End::operator()(LIBSSH2_AGENT* agent) const noexcept {
  libssh2_agent_disconnect(agent);
  libssh2_agent_free(agent);
}

Agent::Agent(LIBSSH2_SESSION* session, const std::string& socket)
    : agent_(libssh2_agent_init(session)) {
  if (!agent_) return;
  const Waiting here;
  libssh2_agent_set_identity_path(agent_.get(), socket.c_str());
  if (libssh2_agent_connect(agent_.get()) != 0) return;
  if (libssh2_agent_list_identities(agent_.get()) != 0) return;
  libssh2_agent_publickey* entry = nullptr;
  for (libssh2_agent_publickey* before = nullptr;
       libssh2_agent_get_identity(agent_.get(), &entry, before) == 0; before = entry) {
    keys_.push_back({entry,
                     {reinterpret_cast<const char*>(entry->blob), entry->blob_len},
                     entry->comment != nullptr ? entry->comment : ""});
  }
}

int Agent::authenticate(const Key& key, const std::string& user) {
  const Waiting here;
  return libssh2_agent_userauth(agent_.get(), user.c_str(), key.entry);
}

}  // namespace stillgate::transport::ssh
