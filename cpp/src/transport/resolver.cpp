// getaddrinfo on detached threads, answered through a mailbox.
#include "resolver.hpp"

#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>

#include <boost/asio/post.hpp>

namespace stillgate::transport {
namespace {

constexpr unsigned max_threads = 16;

struct Found {
  std::vector<Address> addresses;
  std::string failure;
};

Found look_up(const std::string& host, std::uint16_t port, int flags, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (status != 0) return {{}, gai_strerror(status)};
  Found found;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address address;
    const auto* bytes = reinterpret_cast<const unsigned char*>(entry->ai_addr);
    std::copy_n(bytes, entry->ai_addrlen, reinterpret_cast<unsigned char*>(&address.storage));
    address.size = entry->ai_addrlen;
    found.addresses.push_back(address);
  }
  freeaddrinfo(list);
  return found;
}

}  // namespace

/// Shared by the caller and its threads; `io` is null once the caller has left.
struct Resolver::Mailbox {
  struct Request {
    std::string host;
    std::uint16_t port;
    Handler handler;
    int family;
  };

  std::mutex mutex;
  std::condition_variable changed;
  boost::asio::io_context* io{nullptr};
  std::list<Request> requests;
  std::list<Request> running;
  unsigned threads{0};  ///< that end when there is nothing to do
  unsigned lasting{0};
  unsigned idle{0};  ///< lasting ones that wait

  static void work(const std::shared_ptr<Mailbox>& box) {
    std::unique_lock lock(box->mutex);
    while (box->io != nullptr && !box->requests.empty()) box->answer_one(lock);
    --box->threads;
  }

  static void attend(const std::shared_ptr<Mailbox>& box) {
    std::unique_lock lock(box->mutex);
    for (;;) {
      ++box->idle;
      box->changed.wait(lock, [&] { return box->io == nullptr || !box->requests.empty(); });
      --box->idle;
      if (box->io == nullptr) return;
      box->answer_one(lock);
    }
  }

 private:
  void answer_one(std::unique_lock<std::mutex>& lock) {
    // The handler waits in the mailbox: what it owns must end in the loop's thread.
    running.splice(running.end(), requests, requests.begin());
    const auto request = std::prev(running.end());
    const std::string host = request->host;
    const std::uint16_t port = request->port;
    const int family = request->family;
    lock.unlock();
    // A requested family counts even if this machine has only a loopback address of it.
    const int flags = family == AF_UNSPEC ? AI_ADDRCONFIG : 0;
    Found found = look_up(host, port, flags, family);
    lock.lock();
    if (io == nullptr) return;
    boost::asio::post(*io, [handler = std::move(request->handler), found = std::move(found)] {
      handler(found.addresses, found.failure);
    });
    running.erase(request);
  }
};

Resolver::~Resolver() {
  if (!mailbox_) return;
  const std::scoped_lock lock(mailbox_->mutex);
  mailbox_->io = nullptr;
  mailbox_->requests.clear();
  mailbox_->running.clear();
  mailbox_->changed.notify_all();
}

std::shared_ptr<Resolver::Mailbox> Resolver::mailbox() {
  if (!mailbox_) {
    mailbox_ = std::make_shared<Mailbox>();
    mailbox_->io = &io_;
  }
  return mailbox_;
}

void Resolver::keep_thread() {
  const auto box = mailbox();
  const std::scoped_lock lock(box->mutex);
  if (box->lasting > 0) return;
  std::thread([box] { Mailbox::attend(box); }).detach();
  ++box->lasting;
}

void Resolver::resolve(const std::string& host, std::uint16_t port, Handler handler, int family) {
  if (Found numeric = look_up(host, port, AI_NUMERICHOST, family); numeric.failure.empty()) {
    handler(numeric.addresses, numeric.failure);
    return;
  }
  const auto box = mailbox();
  {
    const std::scoped_lock lock(box->mutex);
    box->requests.push_back({host, port, std::move(handler), family});
    if (box->requests.size() <= box->idle) {
      box->changed.notify_one();
      return;
    }
    if (box->threads >= max_threads) return;
    try {
      std::thread([box] { Mailbox::work(box); }).detach();
      ++box->threads;
      return;
    } catch (const std::system_error&) {
      // Those that there are get to it.
      if (box->threads + box->lasting > 0) return;
      handler = std::move(box->requests.back().handler);
      box->requests.pop_back();
    }
  }
  handler({}, "no thread for it is to be had");
}

}  // namespace stillgate::transport
