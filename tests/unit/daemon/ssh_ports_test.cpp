#include "daemon/ssh_ports.h"

#include <gtest/gtest.h>

namespace drpf::daemon {
namespace {

TEST(SshPorts, ReadsEveryWayToNameAPort) {
  EXPECT_EQ(parse_ssh_ports("# Port 1\nPort 2222\nport=22\nListenAddress 0.0.0.0:2022\nListenAddress [::]:2023\nListenAddress fe80::1\n"),
            (std::vector{Port{22}, Port{2022}, Port{2023}, Port{2222}}));
}

TEST(SshPorts, StopsAtTheFirstMatchBlockAndPassesOverNonsense) {
  EXPECT_EQ(parse_ssh_ports("Port x\nPort 0\nPort 70000\nPort\nListenAddress :\nMatch User a\nPort 99\n"), std::vector<Port>{});
}

}  // namespace
}  // namespace drpf::daemon
