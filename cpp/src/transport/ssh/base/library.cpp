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

// Memory of a session may hold a key: wipe it when it is freed.
LIBSSH2_ALLOC_FUNC(allocate) {
  (void)abstract;
  return std::malloc(count);
}

LIBSSH2_FREE_FUNC(release) {
  (void)abstract;
  if (ptr != nullptr) ::explicit_bzero(ptr, ::malloc_usable_size(ptr));
  std::free(ptr);
}

LIBSSH2_REALLOC_FUNC(reallocate) {
  // realloc() would not wipe the old block.
  void* const grown = std::malloc(count);
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
    static_cast<SessionNotes*>(*abstract)->disconnect_message.assign(
        message, static_cast<std::size_t>(message_len));
  }
}

LIBSSH2_RECV_FUNC(receive) {
  ssize_t size = 0;
  do {
    size = ::recv(socket, buffer, length, flags);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return -errno;
  static_cast<SessionNotes*>(*abstract)->received += static_cast<std::uint64_t>(size);
  return size;
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

SessionHandle new_session(SessionNotes& notes) {
  static const bool started = libssh2_init(0) == 0;
  if (!started) return nullptr;
  SessionHandle session(libssh2_session_init_ex(allocate, release, reallocate, &notes));
  if (session) {
    release_empty_pages(session.get());
    libssh2_session_set_blocking(session.get(), 0);
    libssh2_session_callback_set(session.get(), LIBSSH2_CALLBACK_DISCONNECT,
                                 reinterpret_cast<void*>(on_disconnect));
    libssh2_session_callback_set(session.get(), LIBSSH2_CALLBACK_RECV,
                                 reinterpret_cast<void*>(receive));
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
