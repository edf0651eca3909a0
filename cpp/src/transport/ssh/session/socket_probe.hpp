// Finds out why a server did not connect to a unix socket. SSH reports only "connect failed", even
// where the server forbids it.
#pragma once

#include <string>

#include <libssh2.h>
#include <libssh2_sftp.h>

#include <stillgate/error.hpp>

namespace stillgate::transport::ssh {

/// Examines the path by SFTP, which needs no shell and no program beyond sshd's own. Not
/// thread-safe. Nothing else may open a channel in that session meanwhile.
class SocketProbe {
 public:
  /// `detail`: the server's message.
  SocketProbe(LIBSSH2_SESSION* session, std::string path, std::string server, std::string detail);

  /// LIBSSH2_ERROR_EAGAIN: call again when the socket is ready. 0: result() is final.
  int step();
  [[nodiscard]] const Error& result() const noexcept { return result_; }

 private:
  enum class Stage { start, stat, open, resolve, open_table, read_table, close_table, end, over };

  int start();
  int stat();
  int open();
  int resolve();
  int open_table();
  int read_table();
  int close_table();
  void set_result(Errc code, std::string_view text);

  LIBSSH2_SESSION* session_;
  std::string path_;
  std::string server_;
  Stage stage_{Stage::start};
  LIBSSH2_SFTP* sftp_{nullptr};
  LIBSSH2_SFTP_HANDLE* handle_{nullptr};
  std::string true_path_;
  std::string table_;
  std::string detail_;
  Error result_;
};

}  // namespace stillgate::transport::ssh
