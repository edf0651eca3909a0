// Tasks from thread to thread.
#include "mailbox.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace stillgate::transport::ssh {

void Mailbox::put(Task task) {
  if (add(std::move(task))) wake();
}

void Mailbox::put_after(boost::asio::io_context& sender, Task task) {
  if (add(std::move(task))) {
    boost::asio::post(sender, [self = shared_from_this()] { self->wake(); });
  }
}

/// True: it is the first, and the caller has to call wake().
bool Mailbox::add(Task task) {
  const std::scoped_lock lock(mutex_);
  if (io_ == nullptr) return false;
  tasks_.push_back(std::move(task));
  return tasks_.size() == 1;
}

void Mailbox::wake() {
  const std::scoped_lock lock(mutex_);
  if (io_ == nullptr) return;
  boost::asio::post(*io_, [self = shared_from_this()] { self->deliver(); });
}

void Mailbox::close() {
  std::vector<Task> unread;
  const std::scoped_lock lock(mutex_);
  io_ = nullptr;
  unread.swap(tasks_);
}

void Mailbox::deliver() {
  std::vector<Task> tasks;
  {
    const std::scoped_lock lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const Task& task : tasks) task();
}

}  // namespace stillgate::transport::ssh
