#include "firewall/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::firewall {
namespace {

using testing::HasSubstr;
using Who = Admission::Who;

Visit tcp(std::uint16_t port, const char* interface = "eth0") { return {Protocol::tcp, Family::v4, std::nullopt, Port{port}, interface}; }

Visit udp(std::uint16_t port) { return {Protocol::udp, Family::v4, std::nullopt, Port{port}, "eth0"}; }

std::string input(std::string_view policy, std::string_view rules, std::string_view more = "") {
  return "table inet filter {\n" + std::string(more) + "\tchain input {\n\t\ttype filter hook input priority filter; policy " +
         std::string(policy) + ";\n" + std::string(rules) + "\t}\n}\n";
}

Who who(const std::string& rules, const Visit& visit) { return InputRules(rules).admission(visit).who; }

TEST(Admission, WithoutRulesEverybodyComesIn) {
  EXPECT_EQ(who("", tcp(22)), Who::everybody);
  EXPECT_EQ(who(input("accept", ""), tcp(22)), Who::everybody);
  const auto closed = InputRules(input("drop", "")).admission(tcp(22));
  EXPECT_EQ(closed.who, Who::nobody);
  EXPECT_EQ(closed.because, "inet filter input: policy drop");
}

// The rules of the nftables manual's workstation, as `nft -a list ruleset` prints them.
TEST(Admission, OfAUsualHost) {
  const auto rules = input("drop",
                           "\t\tct state vmap { invalid : drop, established : accept, related : accept } # handle 5\n"
                           "\t\tiifname \"lo\" accept # handle 6\n"
                           "\t\tip protocol icmp accept # handle 7\n"
                           "\t\tmeta l4proto ipv6-icmp accept # handle 8\n"
                           "\t\ttcp dport { 22, 80, 443, 8000-8010 } ct state new accept # handle 9\n"
                           "\t\tip saddr 192.0.2.0/24 tcp dport 3306 counter packets 1 bytes 60 accept comment \"the office\" # handle 10\n"
                           "\t\tiifname { \"wg0\", \"wg1\" } udp dport 53 accept # handle 11\n"
                           "\t\tlimit rate 5/second burst 5 packets log prefix \"in: \" level info # handle 12\n");
  EXPECT_EQ(who(rules, tcp(22)), Who::everybody);
  EXPECT_EQ(who(rules, tcp(8005)), Who::everybody);
  EXPECT_EQ(who(rules, tcp(8011)), Who::nobody);
  EXPECT_EQ(who(rules, udp(22)), Who::nobody);
  EXPECT_EQ(who(rules, udp(53)), Who::nobody);
  auto inside = udp(53);
  inside.interface = "wg1";
  EXPECT_EQ(who(rules, inside), Who::everybody);
  const auto office = InputRules(rules).admission(tcp(3306));
  EXPECT_EQ(office.who, Who::some);
  EXPECT_THAT(office.because, HasSubstr("ip saddr 192.0.2.0/24"));
  auto v6 = tcp(3306);
  v6.family = Family::v6;
  EXPECT_EQ(who(rules, v6), Who::nobody) << "the rule is for IPv4";
}

TEST(Admission, FollowsChainsSetsAndMaps) {
  const auto rules =
      input("drop",
            "\t\tiifname vmap { \"lo\" : accept, \"eth0\" : jump public, \"eth1\" : goto private }\n"
            "\t\ttcp dport 9 accept\n",
            "\tset open {\n\t\ttype inet_service\n\t\tflags interval\n\t\telements = { 80, 443,\n\t\t\t     1000-1010 }\n\t}\n"
            "\tchain public {\n\t\ttcp dport @open accept\n\t\ttcp dport 22 drop\n\t\treturn\n\t}\n"
            "\tchain private {\n\t\ttcp dport != 23 accept\n\t}\n");
  EXPECT_EQ(who(rules, tcp(443)), Who::everybody);
  EXPECT_EQ(who(rules, tcp(1010)), Who::everybody);
  EXPECT_EQ(who(rules, tcp(22)), Who::nobody);
  EXPECT_EQ(who(rules, tcp(9)), Who::everybody) << "after the return";
  EXPECT_EQ(who(rules, tcp(9, "eth1")), Who::everybody);
  EXPECT_EQ(who(rules, tcp(23, "eth1")), Who::nobody);
  EXPECT_EQ(who(rules, tcp(9, "eth2")), Who::everybody);
  EXPECT_EQ(who(rules, tcp(443, "eth2")), Who::nobody);
}

TEST(Admission, FollowsFieldsThatAreJoinedAndMapsThatHaveNames) {
  const auto rules = input("drop",
                           "\t\tmeta l4proto . th dport vmap @ports\n"
                           "\t\tip daddr . tcp dport { 198.51.100.7 . 9, 198.51.100.8 . 10-20 } accept\n"
                           "\t\tip daddr 198.51.100.20-198.51.100.30 tcp dport 21 accept\n",
                           "\tmap ports {\n\t\ttype inet_proto . inet_service : verdict\n\t\telements = { tcp . 80 : accept,\n"
                           "\t\t\t     udp . 80 : drop, tcp . 81 : jump web }\n\t}\n\tchain web {\n\t\tiifname \"eth1\" accept\n\t}\n");
  const auto to = [&](const char* address, std::uint16_t port) {
    auto visit = tcp(port);
    visit.destination = parse_address(address).value();
    return who(rules, visit);
  };
  EXPECT_EQ(who(rules, tcp(80)), Who::everybody);
  EXPECT_EQ(who(rules, udp(80)), Who::nobody);
  EXPECT_EQ(who(rules, tcp(81)), Who::nobody);
  EXPECT_EQ(who(rules, tcp(81, "eth1")), Who::everybody);
  EXPECT_EQ(to("198.51.100.7", 9), Who::everybody);
  EXPECT_EQ(to("198.51.100.7", 10), Who::nobody);
  EXPECT_EQ(to("198.51.100.8", 20), Who::everybody);
  EXPECT_EQ(to("198.51.100.25", 21), Who::everybody);
  EXPECT_EQ(to("198.51.100.31", 21), Who::nobody);
  EXPECT_EQ(who(input("accept", "\t\tmeta l4proto . th dport vmap @nowhere\n"), tcp(22)), Who::unknown);
}

TEST(Admission, EveryTableMustLetItIn) {
  const auto one = input("accept", "\t\ttcp dport 22 accept\n");
  const auto other =
      "table ip other {\n\tchain early {\n\t\ttype filter hook prerouting priority raw; policy accept;\n\t\ttcp dport 22 drop\n\t}\n}\n";
  EXPECT_EQ(who(one + other, tcp(22)), Who::nobody);
  auto v6 = tcp(22);
  v6.family = Family::v6;
  EXPECT_EQ(who(one + other, v6), Who::everybody);
  EXPECT_EQ(who("table netdev t {\n\tchain c {\n\t\ttype filter hook ingress device \"eth0\" priority 0; policy drop;\n\t}\n}\n", tcp(22)),
            Who::nobody);
  EXPECT_EQ(who("table netdev t {\n\tchain c {\n\t\ttype filter hook ingress device \"eth1\" priority 0; policy drop;\n\t}\n}\n", tcp(22)),
            Who::everybody);
}

TEST(Admission, AMapLeadsAwayWhatItHas) {
  const auto rules =
      "table inet t {\n\tmap leases {\n\t\ttype ipv4_addr . inet_proto . inet_service : ipv4_addr\n\t\telements = { 192.0.2.1 . tcp . 80 : "
      "10.0.0.2 }\n\t}\n\tchain p {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t\tct mark 0x7 dnat ip to ip daddr . "
      "meta "
      "l4proto . th dport map @leases\n\t}\n}\n";
  EXPECT_EQ(who(rules, tcp(22)), Who::everybody);
  EXPECT_EQ(who(rules, tcp(80)), Who::unknown);
}

TEST(Admission, AFewThatAreKeptOutAreNotAll) {
  EXPECT_EQ(who(input("accept", "\t\tip saddr 10.77.0.0/16 drop\n"), tcp(22)), Who::everybody);
  EXPECT_EQ(who(input("accept", "\t\tip saddr != 10.77.0.0/16 drop\n"), tcp(22)), Who::some);
  EXPECT_EQ(who(input("accept", "\t\ttcp sport 53 drop\n"), tcp(22)), Who::everybody);
}

TEST(Admission, SaysWhatItCannotJudge) {
  const auto rules = input("drop", "\t\txt match \"recent\" tcp dport 22 accept\n");
  const auto unknown = InputRules(rules).admission(tcp(22));
  EXPECT_EQ(unknown.who, Who::unknown);
  EXPECT_THAT(unknown.because, HasSubstr("xt match"));
  EXPECT_EQ(who(rules, tcp(23)), Who::nobody) << "the other conditions keep it out whatever that one means";
  // It does not matter where the end is the same.
  EXPECT_EQ(who(input("accept", "\t\tmeta mark 0x7 accept\n"), tcp(22)), Who::everybody);
  EXPECT_EQ(who(input("drop", "\t\tmeta mark 0x7 drop\n"), tcp(22)), Who::nobody);
  EXPECT_EQ(who(input("accept", "\t\tmeta mark 0x7 drop\n"), tcp(22)), Who::unknown);
  EXPECT_EQ(who(input("accept", "\t\ttcp dport 22 queue to 1\n"), tcp(22)), Who::unknown);
  EXPECT_EQ(who(input("accept", "\t\tjump nowhere\n"), tcp(22)), Who::unknown);
  EXPECT_EQ(who("table ip nat {\n\tchain p {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t\ttcp dport 22 redirect to "
                ":2222\n\t}\n}\n",
                tcp(22)),
            Who::unknown);
  // Chains that lead to each other end.
  EXPECT_EQ(who(input("accept", "\t\tjump a\n", "\tchain a {\n\t\tjump b\n\t}\n\tchain b {\n\t\tjump a\n\t}\n"), tcp(22)), Who::unknown);
}

TEST(Admission, OfTheFirstPacketOnly) {
  for (const auto* rule :
       {"ct state established,related drop", "ct state invalid drop", "fib saddr . iif oif missing drop",
        "ct state new fib saddr oifname != \"eth0\" drop", "fib saddr oifname { \"eth1\", \"lo\" } drop",
        "limit rate over 10/second burst 5 packets drop", "tcp flags & (fin | syn) == fin | syn drop", "tcp flags != syn drop",
        "tcp flags fin,psh,urg / fin,psh,urg drop", "tcp flags & (fin | syn | rst | psh | ack | urg) == 0x0 drop",
        "icmp type echo-request drop", "ct count over 20 drop", "update @seen { ip saddr limit rate over 9/second burst 5 packets } drop",
        "meta pkttype { broadcast, multicast } drop", "fib daddr type != { local, broadcast } drop", "iifname \"eth1*\" drop"})
    EXPECT_EQ(who(input("accept", std::string("\t\t") + rule + "\n"), tcp(22)), Who::everybody) << rule;
  for (const auto* rule : {"ct state new,untracked drop", "ct state != established,related drop", "fib daddr type local drop",
                           "fib saddr oifname \"eth*\" drop", "limit rate 10/second drop", "tcp flags syn / fin,syn,rst,ack drop",
                           "tcp flags syn drop", "iifname != \"lo\" drop", "iifname \"eth*\" reject with tcp reset",
                           "meta nfproto ipv4 drop", "meta l4proto { tcp, udp } th dport 22 drop", "ip protocol 6 drop",
                           "counter name \"x\" drop", "tcp dport vmap { 21 : accept, 22 : drop }", "ip saddr 0.0.0.0/0 drop"})
    EXPECT_EQ(who(input("accept", std::string("\t\t") + rule + "\n"), tcp(22)), Who::nobody) << rule;
}

TEST(Admission, ByTheAddressThatIsVisited) {
  const auto rules = input("drop", "\t\tip daddr 198.51.100.0/24 tcp dport 22 accept\n");
  EXPECT_EQ(who(rules, tcp(22)), Who::some);
  auto visit = tcp(22);
  visit.destination = parse_address("198.51.100.7").value();
  EXPECT_EQ(who(rules, visit), Who::everybody);
  visit.destination = parse_address("203.0.113.7").value();
  EXPECT_EQ(who(rules, visit), Who::nobody);
}

}  // namespace
}  // namespace drpf::firewall
