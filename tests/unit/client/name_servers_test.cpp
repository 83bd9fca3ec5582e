#include "client/connect/name_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NameServersFile, ListsTheServers) {
  EXPECT_THAT(
      name_servers_in(
          "# by hand\nsearch home\nnameserver 192.168.1.1\n  nameserver\t2001:db8::53 # second\nnameserver fe80::1%eth0\noptions edns0\n"),
      ElementsAre(parse_address("192.168.1.1").value(), parse_address("2001:db8::53").value()));
}

TEST(NameServersFile, TakesThreeAtMostAndNoNonsense) {
  EXPECT_EQ(name_servers_in("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n").size(),
            outside_servers_max);
  EXPECT_THAT(name_servers_in("nameserver\nnameserver example.net\nnameservers 10.0.0.1\n"), IsEmpty());
}

TEST(NameServers, AreNamedOrLost) {
  const std::vector servers{parse_address("10.77.0.1").value(), parse_address("fd77::1").value()};
  EXPECT_TRUE(
      are_named_in("nameserver 192.168.1.1\nnameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 10.77.0.1\nnameserver fd77::1\n", servers))
      << "behind those of other interfaces";
  EXPECT_FALSE(are_named_in("nameserver 10.77.0.1\n", servers));
  EXPECT_FALSE(are_named_in("", servers));
}

}  // namespace
}  // namespace drpf::client
