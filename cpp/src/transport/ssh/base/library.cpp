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

// What a session held may be a key: nothing of it stays behind.
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
  // realloc() would leave the old place as it is.
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

/// libssh2's session has 50 kB of buffers in itself, and clears them all at its beginning. A page
/// of zeros that is given back to the kernel is a page of zeros again, and costs nothing until it
/// is used, which most of these never are.
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
  // It tries to say farewell in each channel first, and with a socket that is gone it fails at
  // once.
  constexpr int max_attempts = 100;
  for (int i = 0; i < max_attempts && libssh2_session_free(session) == LIBSSH2_ERROR_EAGAIN; ++i) {
  }
}

}  // namespace stillgate::transport::ssh
