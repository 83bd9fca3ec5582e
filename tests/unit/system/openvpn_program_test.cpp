#include "system/openvpn_program.h"

#include <gtest/gtest.h>

#include "system/interface_counters.h"

namespace drpf::system {
namespace {

TEST(OpenVpnProgram, ItsVersionIsReadAndAnOldOneIsRefused) {
  EXPECT_EQ(openvpn_version("OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]\n"), "2.6.14");
  EXPECT_FALSE(openvpn_version("openvpn: not found"));
  EXPECT_FALSE(openvpn_version("OpenVPN "));
  for (const auto* good : {"2.6.0", "2.6.14", "2.7_beta1", "3.0"}) EXPECT_TRUE(is_openvpn_new_enough(good)) << good;
  for (const auto* old : {"2.5.9", "2.4", "1.9", "2", "x"}) EXPECT_FALSE(is_openvpn_new_enough(old)) << old;
}

TEST(InterfaceCounters, PacketsSentStandInTheTenthColumn) {
  constexpr std::string_view text =
      "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs\n"
      "    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0\n"
      " drpf1: 1000 10 0 0 0 0 0 0 2000 77 0 0 0 0 0 0\ndrpf10: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n";
  EXPECT_EQ(packets_sent(text, "drpf1"), 77U);
  EXPECT_EQ(packets_sent(text, "lo"), 2U);
  EXPECT_FALSE(packets_sent(text, "eth0"));
  EXPECT_FALSE(packets_sent(" drpf1:", "drpf1"));
}

}  // namespace
}  // namespace drpf::system
