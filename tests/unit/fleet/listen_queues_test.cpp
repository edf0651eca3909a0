// The kernel's word on listening ports, over sockets of the test's own.
#include "fleet/listen_queues.hpp"

#include <cstdint>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stillgate::fleet {
namespace {

/// A listener on the loopback, of either family.
class Listening {
 public:
  Listening(int family, int backlog) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (family == AF_INET) {
      reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
    }
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    good_ = ::bind(fd_, plain, size) == 0 && ::listen(fd_, backlog) == 0 &&
            ::getsockname(fd_, plain, &size) == 0;
    port_ = ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in*>(&address)->sin_port
                                    : reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { ::close(fd_); }

  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int fd_;
  bool good_{false};
  std::uint16_t port_{0};
};

TEST(ListenQueues, TellsEachPortsDepth) {
  const Listening small(AF_INET, 3);
  const Listening large(AF_INET, 100);
  ASSERT_TRUE(small.good() && large.good());
  const auto depths = listen_depths();
  ASSERT_TRUE(depths.contains(small.port()) && depths.contains(large.port()));
  EXPECT_EQ(depths.at(small.port()), 4);
  EXPECT_EQ(depths.at(large.port()), 101);
}

TEST(ListenQueues, IPv6Too) {
  const Listening six(AF_INET6, 7);
  if (!six.good()) GTEST_SKIP() << "this machine has no IPv6 loopback";
  EXPECT_EQ(listen_depths().at(six.port()), 8);
}

TEST(ListenQueues, APortThatIsNotListenedOnIsNotThere) {
  std::uint16_t gone = 0;
  {
    const Listening briefly(AF_INET, 3);
    gone = briefly.port();
  }
  EXPECT_FALSE(listen_depths().contains(gone));
}

}  // namespace
}  // namespace stillgate::fleet
