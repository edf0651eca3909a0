// Starting libssh2 and ending its sessions.
#include "library.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stillgate::transport::ssh {
namespace {

SessionNotes& notes_of(void** abstract) { return *static_cast<SessionNotes*>(*abstract); }

// Memory of a session may hold a key: wipe it when it is freed.
LIBSSH2_ALLOC_FUNC(allocate) {
  void* const block = std::malloc(count);
  if (block != nullptr) notes_of(abstract).memory += ::malloc_usable_size(block);
  return block;
}

LIBSSH2_FREE_FUNC(release) {
  if (ptr == nullptr) return;
  const std::size_t size = ::malloc_usable_size(ptr);
  // Signatures and answers to prompts were allocated by us, and are not counted.
  std::size_t& memory = notes_of(abstract).memory;
  memory -= std::min(memory, size);
  // The session is the last to be freed, and `abstract` is a part of it.
  ::explicit_bzero(ptr, size);
  std::free(ptr);
}

LIBSSH2_REALLOC_FUNC(reallocate) {
  // realloc() would not wipe the old block.
  void* const grown = allocate(count, abstract);
  if (grown == nullptr || ptr == nullptr) return grown;
  std::memcpy(grown, ptr, std::min(count, ::malloc_usable_size(ptr)));
  release(ptr, abstract);
  return grown;
}

LIBSSH2_DISCONNECT_FUNC(on_disconnect) {
  (void)session;
  (void)reason;
  (void)language;
  (void)language_len;
  if (message != nullptr && message_len > 0) {
    notes_of(abstract).disconnect_message.assign(message, static_cast<std::size_t>(message_len));
  }
}

LIBSSH2_RECV_FUNC(receive) {
  SessionNotes& notes = notes_of(abstract);
  Intake& intake = notes.intake;
  intake.flooded |= intake.allowance == 0 || notes.memory > intake.most_memory;
  if (intake.flooded) return -ECONNABORTED;
  if (intake.step == 0) return -EAGAIN;
  const std::size_t most = std::min({length, intake.step, intake.allowance});
  ssize_t size = 0;
  do {
    size = ::recv(socket, buffer, most, flags);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return -errno;
  const auto taken = static_cast<std::size_t>(size);
  notes.received += taken;
  intake.step -= taken;
  intake.allowance -= taken;
  notes.kex_init.feed({static_cast<const char*>(buffer), taken});
  return size;
}

template <class Function>
void set_callback(LIBSSH2_SESSION* session, int kind, Function* function) {
#if LIBSSH2_VERSION_NUM >= 0x010b01
  libssh2_session_callback_set2(session, kind, reinterpret_cast<libssh2_cb_generic*>(function));
#else
  libssh2_session_callback_set(session, kind, reinterpret_cast<void*>(function));
#endif
}

std::vector<std::string> names_of(LIBSSH2_SESSION* session, int method) {
  const char** names = nullptr;
  const int count = libssh2_session_supported_algs(session, method, &names);
  if (count <= 0) return {};
  std::vector<std::string> found(names, names + count);
  libssh2_free(session, names);
  return found;
}

SupportedAlgorithms ask_supported() {
  SessionNotes notes;
  const SessionHandle session = new_session(notes);
  SupportedAlgorithms found;
  if (!session) return found;
  found.key_exchanges = names_of(session.get(), LIBSSH2_METHOD_KEX);
  found.host_keys = names_of(session.get(), LIBSSH2_METHOD_HOSTKEY);
  found.ciphers = names_of(session.get(), LIBSSH2_METHOD_CRYPT_CS);
  found.macs = names_of(session.get(), LIBSSH2_METHOD_MAC_CS);
  std::erase_if(found.host_keys,
                [](const auto& name) { return name.find("-cert-") != std::string::npos; });
  // A library with the countermeasure lists it among its key exchanges, and offers it by itself.
  found.strict_key_exchange = std::erase(found.key_exchanges, "kex-strict-c-v00@openssh.com") > 0;
  if (!found.strict_key_exchange) {
    std::erase(found.ciphers, "chacha20-poly1305@openssh.com");
    std::erase_if(found.macs,
                  [](const auto& name) { return name.find("-etm@") != std::string::npos; });
  }
  return found;
}

/// libssh2 clears 50 kB of buffers in each new session, and uses few of them. A page of zeros given
/// back to the kernel reads as zeros again, and takes no memory until used.
void release_empty_pages(void* block) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  static const std::vector<char> zeros(page);
  std::size_t left = ::malloc_usable_size(block);
  for (void* at = block; std::align(page, page, at, left) != nullptr; left -= page) {
    if (std::memcmp(at, zeros.data(), page) == 0) ::madvise(at, page, MADV_DONTNEED);
    at = static_cast<char*>(at) + page;
  }
}

}  // namespace

const SupportedAlgorithms& supported_algorithms() {
  static const SupportedAlgorithms supported = ask_supported();
  return supported;
}

SessionHandle new_session(SessionNotes& notes) {
  static const bool started = libssh2_init(0) == 0;
  if (!started) return nullptr;
  SessionHandle session(libssh2_session_init_ex(allocate, release, reallocate, &notes));
  if (session) {
    release_empty_pages(session.get());
    libssh2_session_set_blocking(session.get(), 0);
    set_callback(session.get(), LIBSSH2_CALLBACK_DISCONNECT, on_disconnect);
    set_callback(session.get(), LIBSSH2_CALLBACK_RECV, receive);
  }
  return session;
}

void EndSession::operator()(LIBSSH2_SESSION* session) const noexcept {
  // It tries to close each channel first, which fails at once on a closed socket.
  constexpr int max_attempts = 100;
  for (int i = 0; i < max_attempts && libssh2_session_free(session) == LIBSSH2_ERROR_EAGAIN; ++i) {
  }
}

}  // namespace stillgate::transport::ssh
