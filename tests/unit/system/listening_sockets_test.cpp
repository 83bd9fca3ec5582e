#include "system/listening_sockets.h"

#include <gtest/gtest.h>

namespace drpf::system {
namespace {

TEST(ListeningSockets, ReadsTheKernelsTable) {
  const auto tcp = parse_socket_table(
      "  sl  local_address rem_address   st tx_queue rx_queue\n"
      "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000\n"
      "   1: 0A00020F:C001 08080808:01BB 01 00000000:00000000\n"  // established: not a listener
      "   2: garbage\n",
      Protocol::tcp);
  ASSERT_EQ(tcp.size(), 1U);
  EXPECT_EQ(to_string(tcp[0].local), "127.0.0.1:22");

  const auto udp6 = parse_socket_table(
      "  sl  local_address                         remote_address                        st\n"
      "   7: B80D0120000000000000000001000000:CA6C 00000000000000000000000000000000:0000 07\n",
      Protocol::udp);
  ASSERT_EQ(udp6.size(), 1U);
  EXPECT_EQ(to_string(udp6[0].local), "[2001:db8::1]:51820");
}

}  // namespace
}  // namespace drpf::system
