#include "guard/host/host_firewall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guard/host/firewall_report.h"
#include "guard/host/open_connections.h"
#include "guard/host/other_tables.h"

namespace drpf::guard {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

// 192.0.2.1:22 listens; 198.51.100.20 is connected to it, and this machine to 203.0.113.9:443.
constexpr const char* tcp_rows =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n"
    "   1: 010200C0:0016 146433C6:C350 01 00000000:00000000 00:00000000 00000000     0        0 2\n"
    "   2: 010200C0:9C40 097100CB:01BB 01 00000000:00000000 00:00000000 00000000     0        0 3\n"
    "   3: 0100007F:0016 0100007F:C351 01 00000000:00000000 00:00000000 00000000     0        0 4\n"
    "   4: nonsense\n";

TEST(OpenConnections, TellWhoBegan) {
  const auto open = parse_connections(tcp_rows, "");
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[0].direction, firewall::Direction::in);
  EXPECT_EQ(to_string(open[0].source), "198.51.100.20");
  EXPECT_EQ(open[0].destination_port.value(), 22);
  EXPECT_EQ(open[1].direction, firewall::Direction::out);
  EXPECT_EQ(to_string(open[1].destination), "203.0.113.9");
  firewall::HostRuleset off;
  firewall::HostRuleset on;
  on.on = true;
  EXPECT_THAT(connections_that_end(off, on, open), ElementsAre(HasSubstr("198.51.100.20:50000 -> 192.0.2.1:22")));
}

TEST(OpenConnections, TheSessionIsAsSshdTellsIt) {
  const auto session = parse_ssh_connection("2001:db8::9 50000 2001:db8::1 22");
  ASSERT_TRUE(session);
  EXPECT_EQ(session->local.port.value(), 22);
  for (const auto* wrong : {"", "a b c d", "10.0.0.1 1 2001:db8::1 22", "10.0.0.1 70000 10.0.0.2 22", "10.0.0.1"})
    EXPECT_FALSE(parse_ssh_connection(wrong)) << wrong;
}

TEST(Trial, TimeLeftIsReadFromTheListing) {
  EXPECT_EQ(parse_time_left("elements = { ipv4 timeout 30s expires 29s952ms, ipv6 timeout 30s expires 1m2s }"), milliseconds(62'000));
  EXPECT_EQ(parse_time_left("elements = { ipv4, ipv6 }"), std::nullopt);
}

TEST(OtherTables, SayWhatFollowsFromThem) {
  const auto found = other_tables(
      "table ip nat {\n\tchain DOCKER {\n\t\tiifname != \"docker0\" tcp dport 8080 counter packets 0 bytes 0 dnat to "
      "172.17.0.2:80\n\t}\n}\n"
      "table inet firewalld { # progname firewalld\n\tchain filter_INPUT {\n\t\ttype filter hook input priority filter + 10; policy "
      "accept;\n\t}\n}\n"
      "table inet drpf_host {\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t}\n}\n");
  ASSERT_EQ(found.tables.size(), 2U);
  EXPECT_EQ(found.tables[0].program, "docker");
  EXPECT_EQ(found.tables[1].program, "firewalld");
  ASSERT_EQ(found.published.size(), 1U);
  EXPECT_EQ(found.published[0].port, "8080/tcp");
  EXPECT_EQ(found.published[0].to, "172.17.0.2:80");
}

}  // namespace
}  // namespace drpf::guard
