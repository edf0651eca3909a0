// A look at a socket's path by SFTP.
#include "look.hpp"

#include <utility>

#include <fmt/format.h>

#include "failure.hpp"

namespace stillgate::transport::ssh {

Look::Look(LIBSSH2_SESSION* session, std::string path, std::string server)
    : session_(session),
      path_(std::move(path)),
      server_(std::move(server)),
      words_(fmt::format("{} could not be connected to there: no such socket, no permission, or "
                         "nobody listens; without SFTP it cannot be told which",
                         path_)) {}

int Look::step() {
  int code = 0;
  while (code == 0 && stage_ != Stage::over) {
    switch (stage_) {
      case Stage::start:
        code = start();
        break;
      case Stage::look:
        code = look();
        break;
      case Stage::open:
        code = open();
        break;
      case Stage::end:
        code = libssh2_sftp_shutdown(sftp_) == LIBSSH2_ERROR_EAGAIN ? LIBSSH2_ERROR_EAGAIN : 0;
        if (code == 0) stage_ = Stage::over;
        break;
      case Stage::over:
        break;
    }
  }
  return code;
}

int Look::start() {
  sftp_ = libssh2_sftp_init(session_);
  if (sftp_ == nullptr) {
    if (libssh2_session_last_errno(session_) == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
    stage_ = Stage::over;
    return 0;
  }
  stage_ = Stage::look;
  return 0;
}

int Look::look() {
  LIBSSH2_SFTP_ATTRIBUTES found{};
  const int code = libssh2_sftp_stat_ex(sftp_, path_.c_str(), static_cast<unsigned>(path_.size()),
                                        LIBSSH2_SFTP_STAT, &found);
  if (code == LIBSSH2_ERROR_EAGAIN) return code;
  stage_ = Stage::end;
  if (code == 0) {
    if (LIBSSH2_SFTP_S_ISSOCK(found.permissions)) {
      stage_ = Stage::open;
    } else {
      settle(Errc::not_a_socket, "exists there and is not a socket");
    }
  } else if (libssh2_sftp_last_error(sftp_) == LIBSSH2_FX_NO_SUCH_FILE) {
    settle(Errc::no_such_socket,
           "does not exist there; is HAProxy running, and is this its 'stats socket'?");
  } else if (libssh2_sftp_last_error(sftp_) == LIBSSH2_FX_PERMISSION_DENIED) {
    settle(Errc::socket_denied,
           "may not even be looked at there: the SSH user needs the right to "
           "search its folder");
  }
  return 0;
}

/// Opening a socket for writing fails in any case, and for want of permission before all else.
int Look::open() {
  LIBSSH2_SFTP_HANDLE* const handle =
      libssh2_sftp_open_ex(sftp_, path_.c_str(), static_cast<unsigned>(path_.size()),
                           LIBSSH2_FXF_WRITE, 0, LIBSSH2_SFTP_OPENFILE);
  if (handle == nullptr && libssh2_session_last_errno(session_) == LIBSSH2_ERROR_EAGAIN) {
    return LIBSSH2_ERROR_EAGAIN;
  }
  stage_ = Stage::end;
  if (libssh2_sftp_last_error(sftp_) == LIBSSH2_FX_PERMISSION_DENIED) {
    settle(Errc::socket_denied,
           "is denied to the SSH user, who needs write permission on it (usually membership in the "
           "haproxy group); there is no sudo on this way");
  } else {
    settle(Errc::connection_refused,
           "is there, and nobody listens on it any more; is HAProxy running?");
  }
  return 0;
}

void Look::settle(Errc code, std::string words) {
  code_ = code;
  words_ = fmt::format("{} {}", path_, words);
}

Error Look::result() const { return failure(code_, server_, words_); }

}  // namespace stillgate::transport::ssh
