// Why a server could not connect to a socket: SSH says no more than "connect failed".
#pragma once

#include <string>

#include <libssh2.h>
#include <libssh2_sftp.h>

#include <stillgate/error.hpp>

namespace stillgate::transport::ssh {

/// Looks at the path by SFTP, which needs no shell and no program there beyond the sshd's own. Not
/// thread-safe; nothing else may open a channel in that session meanwhile.
class Look {
 public:
  Look(LIBSSH2_SESSION* session, std::string path, std::string server);

  /// LIBSSH2_ERROR_EAGAIN: again when the socket is ready; 0: result() knows.
  int step();
  [[nodiscard]] Error result() const;

 private:
  enum class Stage { start, look, open, end, over };

  int start();
  int look();
  int open();
  void settle(Errc code, std::string words);

  LIBSSH2_SESSION* session_;
  std::string path_;
  std::string server_;
  Stage stage_{Stage::start};
  LIBSSH2_SFTP* sftp_{nullptr};
  Errc code_{Errc::ssh_channel_failed};
  std::string words_;
};

}  // namespace stillgate::transport::ssh
