// The channels of one SSH session: what is to be sent, one after the other, and what comes.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "connection.hpp"
#include "failure.hpp"
#include "wire.hpp"

namespace stillgate::transport::ssh {
namespace {

constexpr unsigned window_bytes = 256 * 1024;
constexpr unsigned packet_bytes = 32 * 1024;

/// A server that does not serve SFTP may leave libssh2 waiting.
constexpr std::chrono::milliseconds look_patience{1500};

struct Opening {
  std::string_view type;
  std::string message;
};

/// The message that RFC 4254 (7.2) or OpenSSH's PROTOCOL (2.4) has behind the window.
Opening opening_of(const Target& target) {
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

void Connection::write(const std::shared_ptr<Channel>& channel, std::string bytes) {
  if (!channel->sink) return;
  channel->unsent.push_back(std::move(bytes));
  if (channel->unsent.size() > 1) return;
  operations_.push_back({Kind::write, channel});
  if (stage_ == Stage::open) pump();
}

void Connection::close(const std::shared_ptr<Channel>& channel) {
  if (std::exchange(channel->closed, true)) return;
  channel->sink = nullptr;
  std::erase(channels_, channel);
  std::erase_if(operations_, [&channel](const Operation& one) {
    // A half-sent packet must be sent to its end, or the next one is refused by libssh2.
    return one.channel == channel && one.kind == Kind::write && !one.begun && channel->sent == 0;
  });
  if (channel->raw == nullptr) {
    // One that libssh2 is opening is closed when it is open.
    return;
  }
  // The last one is kept: libssh2 hears nothing from the server but by a channel.
  const bool last = std::none_of(channels_.begin(), channels_.end(),
                                 [](const auto& one) { return one->raw != nullptr; });
  operations_.push_back({last ? Kind::park : Kind::close, channel});
  if (stage_ == Stage::open) pump();
}

/// Until neither side gets on. A step may take another's packet off the socket, where no event
/// tells of it any more: so what is queued in libssh2 is asked for before waiting, and whoever
/// waits for an answer once more where something came. The socket itself is read when it has
/// stirred: each look at an empty one is a call into the kernel.
void Connection::pump() {
  const auto self = shared_from_this();
  for (bool more = true; more && stage_ == Stage::open;) {
    const auto before = notes_.received;
    run_operations();
    // In the middle of a packet libssh2 takes no other one, not even a window's.
    if (outbound_ || stage_ != Stage::open) break;
    read_channels();
    if (stage_ != Stage::open) return;
    more = (!operations_.empty() && (run_operations() || notes_.received != before)) ||
           anything_queued();
  }
  if (stage_ == Stage::open) wait();
}

/// Each in its turn, past those that only wait for an answer. True: one came to its end.
bool Connection::run_operations() {
  bool ended = false;
  bool opening = false;
  outbound_ = false;
  for (std::size_t i = 0; i < operations_.size() && stage_ == Stage::open;) {
    const bool one_of_them = opens(operations_[i]);
    // Opening is a state of libssh2's whole session: one at a time.
    if (one_of_them && std::exchange(opening, true)) {
      ++i;
      continue;
    }
    const int code = step(operations_[i]);
    if (stage_ != Stage::open) return true;
    if (code == 0) {
      operations_.erase(operations_.begin() + static_cast<std::ptrdiff_t>(i));
      if (one_of_them) {
        opening = false;
        watch_opening();
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

/// 0: done, well or not; LIBSSH2_ERROR_EAGAIN: again.
int Connection::step(Operation& one) {
  int code = 0;
  switch (one.kind) {
    case Kind::open:
      return open_step(one);
    case Kind::look:
      return look_step(one);
    case Kind::write:
      return write_step(*one.channel);
    case Kind::close:
      code = libssh2_channel_free(one.channel->raw);
      if (code != LIBSSH2_ERROR_EAGAIN) {
        one.channel->raw = nullptr;
        code = 0;
      }
      break;
    case Kind::park:
      code = libssh2_channel_send_eof(one.channel->raw);
      if (code != LIBSSH2_ERROR_EAGAIN) {
        if (parked_) operations_.push_back({Kind::close, std::move(parked_)});
        parked_ = one.channel;
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
  fail(lost(name_, farewell()));
  return code;
}

int Connection::open_step(Operation& one) {
  Channel& channel = *one.channel;
  // Nobody waits for it any more; but what libssh2 has begun it must end.
  if (!channel.sink && !one.begun) return 0;
  const Opening opening = opening_of(channel.target);
  channel.raw = libssh2_channel_open_ex(
      session_.get(), opening.type.data(), static_cast<unsigned>(opening.type.size()),
      channel.target.unread ? 0 : window_bytes, packet_bytes, opening.message.data(),
      static_cast<unsigned>(opening.message.size()));
  if (channel.raw != nullptr) {
    if (channel.sink) {
      channel.sink->on_opened();
    } else if (!std::exchange(channel.closed, true)) {
      operations_.push_back({Kind::close, one.channel});
    }
    if (parked_) operations_.push_back({Kind::close, std::exchange(parked_, nullptr)});
    return 0;
  }
  const int code = libssh2_session_last_errno(session_.get());
  one.begun = true;
  if (code == LIBSSH2_ERROR_EAGAIN) return code;
  if (code != LIBSSH2_ERROR_CHANNEL_FAILURE) {
    fail(lost(name_, farewell()));
    return code;
  }
  refused(one);
  return one.kind == Kind::look ? look_step(one) : 0;
}

/// libssh2 keeps the server's reason for itself but for these words of its own.
void Connection::refused(Operation& one) {
  const std::string words = words_of(session_.get());
  const Target& target = one.channel->target;
  const bool unix_socket = !target.path.empty();
  Error error;
  if (words.find("prohibited") != std::string::npos) {
    error = forbidden(name_, spelled(target), words);
  } else if (words.find("connect failed") != std::string::npos && unix_socket) {
    one.look = std::make_unique<Look>(session_.get(), target.path, name_, words);
    if (!look_hangs_) {
      one.kind = Kind::look;
      watch_opening();
      return;
    }
    error = one.look->result();
  } else if (words.find("connect failed") != std::string::npos) {
    error = failure(Errc::connection_refused, name_,
                    fmt::format("{} could not be connected to from there", spelled(target)), words);
  } else {
    error = failure(Errc::ssh_channel_failed, name_, "the server opens no channel", words);
  }
  std::erase(channels_, one.channel);
  if (const auto sink = std::exchange(one.channel->sink, nullptr)) sink->on_failed(error);
}

int Connection::look_step(Operation& one) {
  if (one.look->step() == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
  std::erase(channels_, one.channel);
  if (const auto sink = std::exchange(one.channel->sink, nullptr)) {
    sink->on_failed(one.look->result());
  }
  return 0;
}

/// What was to be found out is not, and libssh2 is left in the middle of it: so never again here.
bool Connection::give_up_look() {
  const auto one = std::find_if(operations_.begin(), operations_.end(),
                                [](const auto& each) { return each.kind == Kind::look; });
  if (one == operations_.end()) return false;
  look_hangs_ = true;
  const auto channel = one->channel;
  const Error error = one->look->result();
  operations_.erase(one);
  std::erase(channels_, channel);
  if (const auto sink = std::exchange(channel->sink, nullptr)) sink->on_failed(error);
  watch_opening();
  pump();
  return true;
}

int Connection::write_step(Channel& channel) {
  while (!channel.unsent.empty()) {
    const std::string& first = channel.unsent.front();
    const auto n = libssh2_channel_write(channel.raw, first.data() + channel.sent,
                                         first.size() - channel.sent);
    // The window is full: its end comes with something to read.
    if (n == 0 || n == LIBSSH2_ERROR_EAGAIN) return LIBSSH2_ERROR_EAGAIN;
    if (n == LIBSSH2_ERROR_CHANNEL_CLOSED || n == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
      channel.unsent.clear();
      channel.sent = 0;
      if (const auto sink = std::exchange(channel.sink, nullptr)) {
        sink->on_failed(lost(name_, words_of(session_.get())));
      }
      return 0;
    }
    if (n < 0) {
      fail(lost(name_, farewell()));
      return static_cast<int>(n);
    }
    channel.sent += static_cast<std::size_t>(n);
    if (channel.sent < first.size()) continue;
    channel.unsent.pop_front();
    channel.sent = 0;
  }
  if (channel.sink) channel.sink->on_written();
  return 0;
}

void Connection::read_channels() {
  // A sink may close its channel, or another's.
  const auto all = channels_;
  for (const auto& channel : all) {
    if (!channel->listens()) continue;
    // The first one's reading takes all that the socket has.
    if (!std::exchange(stirred_, false) && !queued(*channel)) continue;
    read_channel(*channel);
    if (stage_ != Stage::open) return;
  }
  if (stirred_ && operations_.empty()) hear_server();
  stirred_ = false;
}

/// Where no channel is read, the server's own messages and its end are still to be heard.
void Connection::hear_server() {
  int code = LIBSSH2_ERROR_SOCKET_DISCONNECT;
  const auto any = std::find_if(channels_.begin(), channels_.end(),
                                [](const auto& one) { return one->raw != nullptr; });
  if (parked_) {
    do {
      code = static_cast<int>(
          libssh2_channel_read(parked_->raw, workshop_.buffer.data(), workshop_.buffer.size()));
    } while (code > 0);
  } else if (any != channels_.end()) {
    // This one gives the other side no room to write.
    code = libssh2_channel_wait_eof((*any)->raw);
  }
  if (code != 0 && code != LIBSSH2_ERROR_EAGAIN) fail(lost(name_, farewell()));
}

void Connection::read_channel(Channel& channel) {
  do {
    const auto n =
        libssh2_channel_read(channel.raw, workshop_.buffer.data(), workshop_.buffer.size());
    if (n > 0) {
      channel.sink->on_bytes({workshop_.buffer.data(), static_cast<std::size_t>(n)});
    } else if (n == 0 && libssh2_channel_eof(channel.raw) != 0) {
      channel.ended = true;
      channel.sink->on_end_of_stream();
    } else if (n == 0 || n == LIBSSH2_ERROR_EAGAIN) {
      return;
    } else {
      fail(lost(name_, farewell()));
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

void Connection::watch_opening() {
  const auto next = std::find_if(operations_.begin(), operations_.end(), opens);
  if (next == operations_.end()) {
    timer_.cancel();
    pending_.reset();
    return;
  }
  const bool looks = next->kind == Kind::look;
  const auto most = looks ? look_patience : next->channel->patience.channel;
  watch(most, Errc::ssh_channel_timeout,
        fmt::format("the server did not say within {} ms whether it opens a channel to {}",
                    most.count(), spelled(next->channel->target)));
}

}  // namespace stillgate::transport::ssh
