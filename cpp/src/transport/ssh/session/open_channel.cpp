// Opens channels, one at a time, and finds out why one was refused.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "connection.hpp"
#include "transport/ssh/base/failure.hpp"
#include "transport/ssh/base/wire.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr unsigned window_bytes = 256 * 1024;
constexpr unsigned packet_bytes = 32 * 1024;

/// A server without SFTP may leave libssh2 waiting.
constexpr std::chrono::milliseconds probe_timeout{1500};

struct OpenRequest {
  std::string_view type;
  std::string message;
};

/// What follows the window and packet sizes: RFC 4254 (7.2), OpenSSH's PROTOCOL (2.4).
OpenRequest open_request_for(const Target& target) {
  WireWriter message;
  if (!target.path.empty()) {
    message.string(target.path).string("").number(0);
    return {"direct-streamlocal@openssh.com", message.bytes()};
  }
  message.string(target.host).number(target.port).string("127.0.0.1").number(0);
  return {"direct-tcpip", message.bytes()};
}

std::string spelled(const Target& target) {
  return target.path.empty() ? fmt::format("{}:{}", target.host, target.port) : target.path;
}

}  // namespace

int Connection::open_step(Operation& operation) {
  Channel& channel = *operation.channel;
  // The channel was closed. libssh2 must still finish what it has begun.
  if (!channel.listener && !operation.begun) return 0;
  const OpenRequest opening = open_request_for(channel.target);
  channel.raw = libssh2_channel_open_ex(
      session_.get(), opening.type.data(), static_cast<unsigned>(opening.type.size()),
      channel.target.unread ? 0 : window_bytes, packet_bytes, opening.message.data(),
      static_cast<unsigned>(opening.message.size()));
  if (channel.raw != nullptr) {
    served_ = true;
    if (channel.listener) {
      channel.listener->on_opened();
    } else {
      channel.closed = true;
      operations_.push_back({Kind::close, operation.channel});
    }
    if (parked_) operations_.push_back({Kind::close, std::exchange(parked_, nullptr)});
    return 0;
  }
  const int code = libssh2_session_last_errno(session_.get());
  operation.begun = true;
  if (code == LIBSSH2_ERROR_EAGAIN) return code;
  if (code != LIBSSH2_ERROR_CHANNEL_FAILURE) {
    lose_connection();
    return code;
  }
  open_refused(operation);
  return operation.kind == Kind::probe ? probe_step(operation) : 0;
}

/// libssh2 does not pass on the server's reason code; its own message is all there is.
void Connection::open_refused(Operation& operation) {
  const std::string words = last_error_text(session_.get());
  const Target& target = operation.channel->target;
  const bool unix_socket = !target.path.empty();
  Error error;
  if (words.find("prohibited") != std::string::npos) {
    error = forbidden(name_, spelled(target), words);
  } else if (words.find("connect failed") != std::string::npos && unix_socket) {
    operation.probe = std::make_unique<SocketProbe>(session_.get(), target.path, name_, words);
    operation.kind = Kind::probe;
    watch_next_open();
    return;
  } else if (words.find("connect failed") != std::string::npos) {
    error = failure(Errc::connection_refused, name_,
                    fmt::format("the server could not connect to {}", spelled(target)), words);
  } else {
    error = failure(Errc::ssh_channel_failed, name_, "the server refused to open a channel", words);
  }
  std::erase(channels_, operation.channel);
  operation.channel->fail(error);
}

int Connection::probe_step(Operation& operation) {
  if (operation.probe->step() == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
  if (notes_.intake.flooded) {
    lose_connection();
    return LIBSSH2_ERROR_SOCKET_RECV;
  }
  std::erase(channels_, operation.channel);
  operation.channel->fail(operation.probe->result());
  return 0;
}

/// The probe took too long. libssh2 is left in the middle of it, so this session opens no more
/// channels.
bool Connection::give_up_probe() {
  const auto operation = std::find_if(operations_.begin(), operations_.end(),
                                      [](const auto& each) { return each.kind == Kind::probe; });
  if (operation == operations_.end()) return false;
  suspect_ = true;
  const auto channel = operation->channel;
  const Error error = operation->probe->result();
  operations_.erase(operation);
  std::erase(channels_, channel);
  channel->fail(error);
  move_unbegun(nullptr);
  watch_next_open();
  pump();
  return true;
}

void Connection::watch_next_open() {
  const auto next = std::find_if(operations_.begin(), operations_.end(), opens);
  if (next == operations_.end()) {
    timer_.cancel();
    pending_.reset();
    return;
  }
  const bool looks = next->kind == Kind::probe;
  const auto most = looks ? probe_timeout : next->channel->timeouts.channel;
  watch(most, Errc::ssh_channel_timeout,
        fmt::format("the server did not answer within {} ms when a channel to {} was opened",
                    most.count(), spelled(next->channel->target)));
}

}  // namespace stillgate::transport::ssh
