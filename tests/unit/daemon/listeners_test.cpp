#include "daemon/listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::daemon {
namespace {

using configuration::Listener;
using testing::ElementsAre;

constexpr std::uint32_t public_interface = 2, tunnel_interface = 7, other_interface = 9;

system::OwnedSocket socket_on(const char* address, std::uint16_t port, Protocol protocol = Protocol::udp, std::uint32_t interface = 0,
                              std::uint64_t inode = 1) {
  system::OwnedSocket socket;
  socket.listening = {protocol, {*parse_address(address), Port{port}}};
  socket.interface = interface;
  socket.inode = inode;
  return socket;
}

std::vector<Listener> reached(const std::vector<system::OwnedSocket>& sockets) {
  return reachable_listeners(sockets, {{4711}, {public_interface}}, configuration::default_configuration());
}

TEST(Listeners, AreWhatStrangersReach) {
  EXPECT_THAT(reached({socket_on("0.0.0.0", 2222, Protocol::tcp), socket_on("::", 2222, Protocol::tcp), socket_on("198.51.100.1", 53)}),
              ElementsAre(Listener{Protocol::tcp, Port{2222}}, Listener{Protocol::udp, Port{53}}));
  EXPECT_THAT(reached({socket_on("127.0.0.1", 631), socket_on("::1", 631)}), ElementsAre());
  EXPECT_THAT(reached({socket_on("10.77.0.1", 53), socket_on("fd77:6472:7066::1", 53)}), ElementsAre());
}

TEST(Listeners, WhatIsBoundToAnInterfaceThatIsNotPublicIsNotReached) {
  EXPECT_THAT(reached({socket_on("0.0.0.0", 5351, Protocol::udp, tunnel_interface), socket_on("::", 1900, Protocol::udp, other_interface)}),
              ElementsAre());
  EXPECT_THAT(reached({socket_on("0.0.0.0", 68, Protocol::udp, public_interface)}), ElementsAre(Listener{Protocol::udp, Port{68}}));
}

TEST(Listeners, TheGatewaysOwnSocketsAreNoStrangers) {
  EXPECT_THAT(reached({socket_on("::", 51820, Protocol::udp, 0, 4711)}), ElementsAre());
  EXPECT_THAT(reached({socket_on("::", 51820, Protocol::udp, 0, 4712)}), ElementsAre(Listener{Protocol::udp, Port{51820}}));
}

TEST(Listeners, AClientsSocketIsNoService) {
  EXPECT_THAT(reached({socket_on("0.0.0.0", 52001)}), ElementsAre());
  EXPECT_THAT(reached({socket_on("0.0.0.0", 52001, Protocol::tcp)}), ElementsAre(Listener{Protocol::tcp, Port{52001}}));
}

}  // namespace
}  // namespace drpf::daemon
