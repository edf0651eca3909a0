// Examines a socket's path by SFTP, then /proc/net/unix.
#include "socket_probe.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "transport/ssh/base/failure.hpp"
#include "unix_table.hpp"

namespace stillgate::transport::ssh {

SocketProbe::SocketProbe(LIBSSH2_SESSION* session, std::string path, std::string server,
                         std::string detail)
    : session_(session),
      path_(std::move(path)),
      server_(std::move(server)),
      true_path_(path_),
      detail_(std::move(detail)) {
  set_result(Errc::ssh_channel_failed,
             "cannot be reached there: no such socket, no permission, nothing listens, or the "
             "server forbids it (AllowStreamLocalForwarding, AllowTcpForwarding, PermitOpen); "
             "without SFTP on the server the cause is unknown");
}

int SocketProbe::step() {
  int code = 0;
  while (code == 0 && stage_ != Stage::over) {
    switch (stage_) {
      case Stage::start:
        code = start();
        break;
      case Stage::stat:
        code = stat();
        break;
      case Stage::open:
        code = open();
        break;
      case Stage::resolve:
        code = resolve();
        break;
      case Stage::open_table:
        code = open_table();
        break;
      case Stage::read_table:
        code = read_table();
        break;
      case Stage::close_table:
        code = close_table();
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

int SocketProbe::start() {
  sftp_ = libssh2_sftp_init(session_);
  if (sftp_ == nullptr) {
    if (libssh2_session_last_errno(session_) == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
    stage_ = Stage::over;
    return 0;
  }
  stage_ = Stage::stat;
  return 0;
}

int SocketProbe::stat() {
  LIBSSH2_SFTP_ATTRIBUTES found{};
  const int code = libssh2_sftp_stat_ex(sftp_, path_.c_str(), static_cast<unsigned>(path_.size()),
                                        LIBSSH2_SFTP_STAT, &found);
  if (code == LIBSSH2_ERROR_EAGAIN) return code;
  stage_ = Stage::end;
  if (code == 0) {
    if (LIBSSH2_SFTP_S_ISSOCK(found.permissions)) {
      stage_ = Stage::open;
    } else {
      set_result(Errc::not_a_socket, "exists there, but is not a socket");
    }
  } else if (libssh2_sftp_last_error(sftp_) == LIBSSH2_FX_NO_SUCH_FILE) {
    set_result(Errc::no_such_socket,
               "does not exist there; is HAProxy running, and is this its 'stats socket'?");
  } else if (libssh2_sftp_last_error(sftp_) == LIBSSH2_FX_PERMISSION_DENIED) {
    set_result(Errc::socket_denied,
               "is denied to the SSH user, who may not enter its folder; give it search permission "
               "(x) there");
  }
  return 0;
}

/// Opening a socket for writing always fails; missing permission is the first reason given.
int SocketProbe::open() {
  LIBSSH2_SFTP_HANDLE* const handle =
      libssh2_sftp_open_ex(sftp_, path_.c_str(), static_cast<unsigned>(path_.size()),
                           LIBSSH2_FXF_WRITE, 0, LIBSSH2_SFTP_OPENFILE);
  if (handle == nullptr && libssh2_session_last_errno(session_) == LIBSSH2_ERROR_EAGAIN) {
    return LIBSSH2_ERROR_EAGAIN;
  }
  stage_ = Stage::resolve;
  if (libssh2_sftp_last_error(sftp_) != LIBSSH2_FX_PERMISSION_DENIED) {
    set_result(Errc::connection_refused,
               "exists there, but nothing listens on it (is HAProxy running?), or the server "
               "forbids it (AllowStreamLocalForwarding, AllowTcpForwarding, PermitOpen)");
  } else {
    stage_ = Stage::end;
    set_result(Errc::socket_denied,
               "is denied to the SSH user, who needs write permission on it (usually membership in "
               "the haproxy group); sudo cannot be used here");
  }
  return 0;
}

int SocketProbe::resolve() {
  std::array<char, 4096> target{};
  const int size = libssh2_sftp_symlink_ex(
      sftp_, path_.c_str(), static_cast<unsigned>(path_.size()), target.data(),
      static_cast<unsigned>(target.size()), LIBSSH2_SFTP_REALPATH);
  if (size == LIBSSH2_ERROR_EAGAIN) return size;
  if (size > 0) true_path_.assign(target.data(), static_cast<std::size_t>(size));
  stage_ = Stage::open_table;
  return 0;
}

/// Absent in a chroot, and on systems other than Linux.
int SocketProbe::open_table() {
  constexpr std::string_view path = "/proc/net/unix";
  handle_ = libssh2_sftp_open_ex(sftp_, path.data(), static_cast<unsigned>(path.size()),
                                 LIBSSH2_FXF_READ, 0, LIBSSH2_SFTP_OPENFILE);
  if (handle_ != nullptr) {
    stage_ = Stage::read_table;
    return 0;
  }
  if (libssh2_session_last_errno(session_) == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
  stage_ = Stage::end;
  return 0;
}

int SocketProbe::read_table() {
  constexpr std::size_t most = std::size_t{4} * 1024 * 1024;
  // libssh2 reads ahead four times this size. The kernel returns less of such a file than
  // requested, which libssh2 takes for an error when several requests are outstanding.
  std::array<char, 1024> piece{};
  while (table_.size() < most) {
    const auto size = libssh2_sftp_read(handle_, piece.data(), piece.size());
    if (size == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
    if (size <= 0) break;
    table_.append(piece.data(), static_cast<std::size_t>(size));
  }
  stage_ = Stage::close_table;
  return 0;
}

int SocketProbe::close_table() {
  if (libssh2_sftp_close_handle(handle_) == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
  stage_ = Stage::end;
  if (is_listening(table_, true_path_) || is_listening(table_, path_)) {
    result_ = forbidden(server_, path_, detail_);
  } else {
    set_result(Errc::connection_refused,
               "exists there, but nothing listens on it; is HAProxy running? (If HAProxy runs in a "
               "container, the server may forbid it: AllowStreamLocalForwarding, "
               "AllowTcpForwarding, PermitOpen)");
  }
  return 0;
}

void SocketProbe::set_result(Errc code, std::string_view text) {
  result_ = failure(code, server_, fmt::format("{} {}", path_, text), detail_);
}

}  // namespace stillgate::transport::ssh
