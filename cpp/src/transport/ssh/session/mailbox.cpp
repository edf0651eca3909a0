// Letters from thread to thread.
#include "mailbox.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace stillgate::transport::ssh {

void Mailbox::put(Letter letter) {
  if (add(std::move(letter))) wake();
}

void Mailbox::put_after(boost::asio::io_context& sender, Letter letter) {
  if (add(std::move(letter))) {
    boost::asio::post(sender, [self = shared_from_this()] { self->wake(); });
  }
}

/// True: it is the first, and somebody has to wake().
bool Mailbox::add(Letter letter) {
  const std::scoped_lock lock(mutex_);
  if (io_ == nullptr) return false;
  letters_.push_back(std::move(letter));
  return letters_.size() == 1;
}

void Mailbox::wake() {
  const std::scoped_lock lock(mutex_);
  if (io_ == nullptr) return;
  boost::asio::post(*io_, [self = shared_from_this()] { self->deliver(); });
}

void Mailbox::close() {
  std::vector<Letter> unread;
  const std::scoped_lock lock(mutex_);
  io_ = nullptr;
  unread.swap(letters_);
}

void Mailbox::deliver() {
  std::vector<Letter> letters;
  {
    const std::scoped_lock lock(mutex_);
    letters.swap(letters_);
  }
  for (const Letter& letter : letters) letter();
}

}  // namespace stillgate::transport::ssh
