// Sending a line, and keeping its connection open.
#include "held_line.hpp"

#include <utility>

#include "runtime_api/reply_reader.hpp"

namespace stillgate::engine {

namespace {

/// More than HAProxy's buffer takes, of 16 kB by default and up to 32 kB here: it cannot go on to
/// the next command before it has written, and finds out then that nobody is there. Without it 3.2
/// runs a whole line that it finds behind a reset. 42 kB fit what a kernel keeps unread.
constexpr std::string_view longer_than_a_buffer = "help;help;help;help;";

}  // namespace

HeldLine::HeldLine(const Endpoint& endpoint, Loop& loop, std::string line)
    : transport_(
          transport::make_transport(loop.shared(), endpoint, *this, transport::Reading::never)),
      line_(std::move(line)) {
  try {
    transport_->connect();
  } catch (...) {
    transport_->close();
    throw;
  }
}

HeldLine::~HeldLine() { transport_->close(); }

template <class Act>
void HeldLine::guarded(Act act) {
  try {
    act();
  } catch (...) {
    error_.emplace();
    error_->code = Errc::system_error;
  }
}

bool HeldLine::is_sent() const { return written_ && !error_ && !transport_->has_unsent(); }

void HeldLine::on_connected() {
  guarded([this] {
    transport_->write(std::string(runtime_api::greeting));
    transport_->read();
  });
}

void HeldLine::on_bytes(std::string_view /*bytes*/) {
  guarded([this] {
    transport_->write(std::string(longer_than_a_buffer) + line_);
    written_ = true;
  });
}

void HeldLine::on_end_of_stream() {
  error_ = Error{Errc::early_eof, "HAProxy closed the connection before it took the line"};
}

void HeldLine::on_failed(Error error) { error_ = std::move(error); }

}  // namespace stillgate::engine
