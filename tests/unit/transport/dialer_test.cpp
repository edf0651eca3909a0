// Which of a name's addresses is connected to, and when the next one's turn is.
#include "transport/dialer.hpp"

#include <cerrno>
#include <optional>

#include <arpa/inet.h>

#include "fakes/patience.hpp"
#include "fakes/session_fixture.hpp"

namespace stillgate::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

sockaddr_in place(const char* host, std::uint16_t port) {
  sockaddr_in found{};
  found.sin_family = AF_INET;
  found.sin_port = htons(port);
  EXPECT_EQ(::inet_pton(AF_INET, host, &found.sin_addr), 1);
  return found;
}

/// A listener on one of the loopback's many addresses.
class Server {
 public:
  explicit Server(const char* host, std::uint16_t port = 0)
      : place_(place(host, port)), listener_(AF_INET, here(), sizeof place_) {
    place_.sin_port = htons(listener_.port());
  }
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
  /// From now on a connection is neither accepted nor refused.
  void fall_silent() { listener_.fill(AF_INET, here(), sizeof place_); }

 private:
  [[nodiscard]] const sockaddr* here() const { return reinterpret_cast<const sockaddr*>(&place_); }
  sockaddr_in place_;
  engine::Listener listener_;
};

Address address(const char* host, std::uint16_t port) {
  const sockaddr_in one = place(host, port);
  Address found;
  std::memcpy(&found.storage, &one, sizeof one);
  found.size = sizeof one;
  return found;
}

/// What became of dialing these addresses, within two seconds.
struct Call {
  explicit Call(std::vector<Address> addresses) {
    Dialer dialer(io);
    dialer.start(std::move(addresses), [this](Dialer::Socket socket, int number) {
      EXPECT_FALSE(error.has_value()) << "it is told once";
      error = number;
      if (number == 0) to = host_of(socket);
    });
    EXPECT_FALSE(error.has_value()) << "it is told from within start()";
    const auto before = steady_clock::now();
    io.run_for(milliseconds(2000));
    took = steady_clock::now() - before;
  }
  static std::string host_of(Dialer::Socket& socket) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    EXPECT_EQ(::getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size), 0);
    char text[INET_ADDRSTRLEN];
    return ::inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  }

  boost::asio::io_context io;
  std::optional<int> error;
  std::string to;
  steady_clock::duration took{};
};

TEST(Dialer, TakesTheFirstThatAnswers) {
  const Server first("127.0.0.1");
  const Server second("127.0.0.2", first.port());
  const Call call({address("127.0.0.1", first.port()), address("127.0.0.2", first.port())});
  EXPECT_EQ(call.error, 0);
  EXPECT_EQ(call.to, "127.0.0.1");
}

TEST(Dialer, TriesTheNextAtOnceWhereOneIsRefused) {
  const Server server("127.0.0.6");
  const std::uint16_t port = server.port();
  Patience patience;
  const Call call({address("127.0.0.1", port), address("127.0.0.2", port),
                   address("127.0.0.3", port), address("127.0.0.4", port),
                   address("127.0.0.5", port), address("127.0.0.6", port)});
  EXPECT_EQ(call.error, 0);
  EXPECT_EQ(call.to, "127.0.0.6");
  // Each after the one before's head start would be five times as long.
  EXPECT_LT(call.took, 2 * Dialer::head_start + patience.taken());
}

TEST(Dialer, DoesNotWaitLongForOneThatIsSilent) {
  Server silent("127.0.0.1");
  silent.fall_silent();
  Server silent_too("127.0.0.2", silent.port());
  silent_too.fall_silent();
  const Server server("127.0.0.3", silent.port());
  const Call call({address("127.0.0.1", server.port()), address("127.0.0.2", server.port()),
                   address("127.0.0.3", server.port())});
  EXPECT_EQ(call.error, 0);
  EXPECT_EQ(call.to, "127.0.0.3");
  EXPECT_GE(call.took, 2 * Dialer::head_start);
}

TEST(Dialer, TellsTheLastFailure) {
  const Server server("127.0.0.2");
  // A broadcast address cannot be connected to, and the kernel says so at once.
  const Call call({address("127.0.0.1", server.port()), address("255.255.255.255", server.port())});
  EXPECT_TRUE(call.error == ENETUNREACH || call.error == EACCES) << *call.error;
  const Call other(
      {address("255.255.255.255", server.port()), address("127.0.0.1", server.port())});
  EXPECT_EQ(other.error, ECONNREFUSED);
}

TEST(Dialer, KeepsWaitingForOneThatIsSilentWhereTheOthersAreRefused) {
  Server silent("127.0.0.1");
  silent.fall_silent();
  const Call call({address("127.0.0.1", silent.port()), address("127.0.0.2", silent.port())});
  EXPECT_FALSE(call.error.has_value());
}

TEST(Dialer, TellsNothingOnceItIsDropped) {
  const Server server("127.0.0.1");
  boost::asio::io_context io;
  bool told = false;
  {
    Dialer dialer(io);
    dialer.start({address("127.0.0.1", server.port())}, [&](auto, int) { told = true; });
  }
  {
    Dialer dialer(io);
    dialer.start({address("127.0.0.1", server.port())}, [&](auto, int) { told = true; });
    io.poll_one();
  }
  io.run();
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace stillgate::transport
