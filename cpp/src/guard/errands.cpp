// The thread of the errands, and what goes to and comes from it.
#include "errands.hpp"

#include <utility>

namespace stillgate::guard {

Errands::Errands(engine::Loop& loop) : loop_(loop), thread_([this] { work(); }) {}

Errands::~Errands() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Errands::run(Task work, Task done) {
  std::list<Errand> one;
  one.push_back({std::move(work), std::move(done)});
  {
    const std::scoped_lock lock(mutex_);
    waiting_.splice(waiting_.end(), one);
  }
  changed_.notify_all();
}

void Errands::deliver() {
  for (;;) {
    std::list<Errand> one;
    {
      const std::scoped_lock lock(mutex_);
      if (done_.empty()) return;
      one.splice(one.begin(), done_, done_.begin());
    }
    if (one.front().done) one.front().done();
  }
}

bool Errands::finish(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return waiting_.empty() && running_.empty(); });
}

/// An errand moves from list to list: nothing that could fail.
void Errands::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    running_.splice(running_.begin(), waiting_, waiting_.begin());
    lock.unlock();
    try {
      running_.front().work();
    } catch (...) {  // NOLINT(bugprone-empty-catch): whoever wanted it sees that it was not done
    }
    lock.lock();
    done_.splice(done_.end(), running_);
    changed_.notify_all();
    lock.unlock();
    loop_.wake();
    lock.lock();
  }
}

}  // namespace stillgate::guard
