// Sending a line, and keeping its connection open.
#include "held_line.hpp"

#include <utility>

namespace stillgate::engine {

HeldLine::HeldLine(const Endpoint& endpoint)
    : io_(1),
      shared_(io_, std::chrono::seconds(1)),
      transport_(transport::make_transport(shared_, endpoint, *this, transport::Reading::never)) {}

HeldLine::~HeldLine() { transport_->close(); }

std::optional<Error> HeldLine::send(std::string line, std::chrono::milliseconds patience) {
  line_ = std::move(line);
  transport_->connect();
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!error_ && (!connected_ || transport_->has_unsent())) {
    if (std::chrono::steady_clock::now() >= until) {
      return Error{Errc::connect_timeout, "no connection in time"};
    }
    io_.run_one_until(until);
    if (io_.stopped()) io_.restart();
  }
  return error_;
}

void HeldLine::on_connected() {
  connected_ = true;
  transport_->write(std::move(line_));
}

void HeldLine::on_bytes(std::string_view /*bytes*/) {}

void HeldLine::on_end_of_stream() {}

void HeldLine::on_failed(Error error) { error_ = std::move(error); }

}  // namespace stillgate::engine
