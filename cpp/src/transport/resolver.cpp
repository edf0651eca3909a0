// getaddrinfo on detached threads, answered through a mailbox.
#include "resolver.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
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
  boost::asio::io_context* io{nullptr};
  std::deque<Request> requests;
  unsigned threads{0};

  static void work(const std::shared_ptr<Mailbox>& box) {
    for (;;) {
      Request request;
      {
        const std::scoped_lock lock(box->mutex);
        if (box->io == nullptr || box->requests.empty()) {
          --box->threads;
          return;
        }
        request = std::move(box->requests.front());
        box->requests.pop_front();
      }
      // A requested family counts even if this machine has only a loopback address of it.
      const int flags = request.family == AF_UNSPEC ? AI_ADDRCONFIG : 0;
      Found found = look_up(request.host, request.port, flags, request.family);
      const std::scoped_lock lock(box->mutex);
      if (box->io == nullptr) continue;
      boost::asio::post(*box->io, [handler = std::move(request.handler), found = std::move(found)] {
        handler(found.addresses, found.failure);
      });
    }
  }
};

Resolver::~Resolver() {
  if (!mailbox_) return;
  const std::scoped_lock lock(mailbox_->mutex);
  mailbox_->io = nullptr;
  mailbox_->requests.clear();
}

void Resolver::resolve(const std::string& host, std::uint16_t port, Handler handler, int family) {
  if (Found numeric = look_up(host, port, AI_NUMERICHOST, family); numeric.failure.empty()) {
    handler(numeric.addresses, numeric.failure);
    return;
  }
  if (!mailbox_) {
    mailbox_ = std::make_shared<Mailbox>();
    mailbox_->io = &io_;
  }
  const std::scoped_lock lock(mailbox_->mutex);
  mailbox_->requests.push_back({host, port, std::move(handler), family});
  if (mailbox_->threads >= max_threads) return;
  ++mailbox_->threads;
  std::thread([box = mailbox_] { Mailbox::work(box); }).detach();
}

}  // namespace stillgate::transport
