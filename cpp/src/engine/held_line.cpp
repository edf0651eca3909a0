// Sending a line, and keeping its connection open.
#include "held_line.hpp"

#include <utility>

namespace stillgate::engine {

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

bool HeldLine::is_sent() const { return connected_ && !error_ && !transport_->has_unsent(); }

void HeldLine::on_connected() {
  try {
    transport_->write(std::move(line_));
    connected_ = true;
  } catch (...) {
    error_.emplace();
    error_->code = Errc::system_error;
  }
}

void HeldLine::on_bytes(std::string_view /*bytes*/) {}

void HeldLine::on_end_of_stream() {}

void HeldLine::on_failed(Error error) { error_ = std::move(error); }

}  // namespace stillgate::engine
