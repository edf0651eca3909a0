// The channels of one SSH session: sends in order, receives, closes.
#include <algorithm>
#include <utility>

#include "connection.hpp"
#include "transport/ssh/base/failure.hpp"

namespace stillgate::transport::ssh {

void Connection::write(const std::shared_ptr<Channel>& channel, std::string bytes) {
  if (!channel->listener) return;
  channel->unsent.push_back(std::move(bytes));
  if (channel->unsent.size() > 1) return;
  operations_.push_back({Kind::write, channel});
  if (stage_ == Stage::open) pump();
}

void Connection::close(const std::shared_ptr<Channel>& channel) {
  if (std::exchange(channel->closed, true)) return;
  channel->listener = nullptr;
  std::erase(channels_, channel);
  std::erase_if(operations_, [&channel](const Operation& operation) {
    // libssh2 refuses the next packet until a half-sent one is complete.
    return operation.channel == channel && operation.kind == Kind::write && !operation.begun &&
           channel->sent == 0;
  });
  if (channel->raw == nullptr) {
    // libssh2 is still opening it; open_step() closes it then.
    return;
  }
  // Keep the last channel: libssh2 reads from the server only through a channel.
  const bool last = std::none_of(channels_.begin(), channels_.end(),
                                 [](const auto& other) { return other->raw != nullptr; });
  operations_.push_back({last ? Kind::park : Kind::close, channel});
  if (stage_ == Stage::open) pump();
}

void Connection::read_on() {
  if (stage_ == Stage::open) pump();
}

/// Runs until neither side makes progress. An operation may take another's packet off the socket,
/// and no event reports that packet again. So ask libssh2 for queued data before waiting, and run
/// operations once more after anything was received. Read the socket only after an event: reading
/// an empty one costs a system call.
void Connection::pump() {
  const auto self = shared_from_this();
  allow_step();
  for (bool more = true; more && stage_ == Stage::open;) {
    const auto before = notes_.received;
    run_operations();
    // libssh2 must finish a packet before it sends another, even a window adjustment.
    if (outbound_ || stage_ != Stage::open) break;
    read_channels();
    if (stage_ != Stage::open) return;
    more = (!operations_.empty() && (run_operations() || notes_.received != before)) ||
           anything_queued();
  }
  if (stage_ == Stage::open) wait();
}

/// Runs each operation in order; skips those that wait for an answer. True: one has ended.
bool Connection::run_operations() {
  bool ended = false;
  bool opening = false;
  outbound_ = false;
  for (std::size_t i = 0; i < operations_.size() && stage_ == Stage::open;) {
    const bool opens_channel = opens(operations_[i]);
    // libssh2 opens one channel at a time per session.
    if (opens_channel && std::exchange(opening, true)) {
      ++i;
      continue;
    }
    const int code = step(operations_[i]);
    if (stage_ != Stage::open) return true;
    if (code == 0) {
      operations_.erase(operations_.begin() + static_cast<std::ptrdiff_t>(i));
      if (opens_channel) {
        opening = false;
        watch_next_open();
      }
      ended = true;
      continue;
    }
    if ((libssh2_session_block_directions(session_.get()) & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0) {
      outbound_ = operations_[i].begun = true;
      break;
    }
    ++i;
  }
  return ended;
}

/// 0: ended, with success or not. LIBSSH2_ERROR_EAGAIN: call again.
int Connection::step(Operation& operation) {
  int code = 0;
  switch (operation.kind) {
    case Kind::open:
      return open_step(operation);
    case Kind::probe:
      return probe_step(operation);
    case Kind::write:
      return write_step(*operation.channel);
    case Kind::close:
      code = libssh2_channel_free(operation.channel->raw);
      if (code != LIBSSH2_ERROR_EAGAIN) {
        operation.channel->raw = nullptr;
        code = 0;
      }
      break;
    case Kind::park:
      code = libssh2_channel_send_eof(operation.channel->raw);
      if (code != LIBSSH2_ERROR_EAGAIN) {
        if (parked_) operations_.push_back({Kind::close, std::move(parked_)});
        parked_ = operation.channel;
        code = 0;
      }
      break;
    case Kind::keep_alive: {
      int next = 0;
      code = libssh2_keepalive_send(session_.get(), &next);
      break;
    }
  }
  if (code == 0 || code == LIBSSH2_ERROR_EAGAIN) return code;
  lose_connection();
  return code;
}

int Connection::write_step(Channel& channel) {
  while (!channel.unsent.empty()) {
    const std::string& first = channel.unsent.front();
    const auto n = libssh2_channel_write(channel.raw, first.data() + channel.sent,
                                         first.size() - channel.sent);
    // The window is full. Its adjustment arrives as something to read.
    if (n == 0 || n == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
    if (n == LIBSSH2_ERROR_CHANNEL_CLOSED || n == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
      channel.unsent.clear();
      channel.sent = 0;
      channel.fail(lost(name_, last_error_text(session_.get())));
      return 0;
    }
    if (n < 0) {
      lose_connection();
      return static_cast<int>(n);
    }
    channel.sent += static_cast<std::size_t>(n);
    if (channel.sent < first.size()) continue;
    channel.unsent.pop_front();
    channel.sent = 0;
  }
  if (channel.listener) channel.listener->on_written();
  return 0;
}

void Connection::read_channels() {
  // A listener may close this channel or another.
  const auto all = channels_;
  for (const auto& channel : all) {
    if (!channel->listens()) continue;
    // The first read takes everything the socket has.
    if (!std::exchange(readable_, false) && !queued(*channel)) continue;
    read_channel(*channel);
    if (stage_ != Stage::open) return;
  }
  if (readable_ && operations_.empty()) read_server_messages();
  readable_ = false;
}

/// Reads the server's own messages and its end of stream while no channel is read.
void Connection::read_server_messages() {
  int code = LIBSSH2_ERROR_SOCKET_DISCONNECT;
  const auto any = std::find_if(channels_.begin(), channels_.end(),
                                [](const auto& other) { return other->raw != nullptr; });
  if (parked_) {
    do {
      code = static_cast<int>(
          libssh2_channel_read(parked_->raw, context_.buffer.data(), context_.buffer.size()));
    } while (code > 0);
  } else if (any != channels_.end()) {
    // This call does not enlarge the peer's window.
    code = libssh2_channel_wait_eof((*any)->raw);
  }
  if (code != 0 && code != LIBSSH2_ERROR_EAGAIN) lose_connection();
}

void Connection::read_channel(Channel& channel) {
  do {
    const auto n =
        libssh2_channel_read(channel.raw, context_.buffer.data(), context_.buffer.size());
    if (n > 0) {
      notes_.intake.allowance += static_cast<std::size_t>(n);
      channel.listener->on_bytes({context_.buffer.data(), static_cast<std::size_t>(n)});
    } else if (n == 0 && libssh2_channel_eof(channel.raw) != 0) {
      channel.ended = true;
      channel.listener->on_end_of_stream();
    } else if (n == 0 || n == LIBSSH2_ERROR_EAGAIN) {
      return;
    } else {
      lose_connection();
    }
  } while (stage_ == Stage::open && queued(channel));
}

bool Connection::queued(const Channel& channel) {
  return channel.listens() &&
         (libssh2_poll_channel_read(channel.raw, 0) != 0 || libssh2_channel_eof(channel.raw) != 0);
}

bool Connection::anything_queued() const {
  return std::any_of(channels_.begin(), channels_.end(),
                     [](const auto& channel) { return queued(*channel); });
}

}  // namespace stillgate::transport::ssh
