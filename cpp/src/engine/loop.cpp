// Turns of the event loop, and watching single descriptors.
#include "loop.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace stillgate::engine {
namespace {

/// So many handlers at most before the caller looks at the time again.
constexpr int most_in_a_turn = 128;

}  // namespace

Loop::Loop(std::chrono::milliseconds connect_timeout)
    : io_(1), work_(io_.get_executor()), shared_(io_, connect_timeout) {
  shared_.read_buffer = std::make_unique_for_overwrite<char[]>(transport::Shared::read_bytes);
}

void Loop::turn(std::chrono::milliseconds patience) {
  if (io_.run_one_for(patience) == 0) return;
  for (int i = 0; i < most_in_a_turn && io_.poll_one() > 0; ++i) {
  }
}

void Loop::wake() noexcept {
  try {
    boost::asio::post(io_, [] {});
  } catch (...) {  // NOLINT(bugprone-empty-catch): then the turn ends with its patience
  }
}

Watch::Watch(Loop& loop, int descriptor) : descriptor_(loop.io(), descriptor) {}

Watch::~Watch() { descriptor_.release(); }

bool Watch::take() {
  if (std::exchange(ready_, false)) return true;
  if (watching_) return false;
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& code) {
                           if (code == boost::asio::error::operation_aborted) return;
                           watching_ = false;
                           ready_ = true;
                         });
  watching_ = true;
  return false;
}

}  // namespace stillgate::engine
