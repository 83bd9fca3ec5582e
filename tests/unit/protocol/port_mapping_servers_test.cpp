// The NAT-PMP and PCP servers over a lease book: what goes in and what comes out, byte for byte where programs depend on it.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "core/encoding.h"
#include "protocol/nat_pmp/server.h"
#include "protocol/pcp/server.h"
#include "support/book_mappings.h"

namespace drpf::protocol {
namespace {

using port_mapping::test::BookMappings;

class PortMappingServers : public ::testing::Test {
 protected:
  std::string nat_pmp(const std::string& hex, std::optional<Address> source = std::nullopt) {
    return asked([&](ByteView packet, const Address& from, auto reply) { nat_pmp::Server(mappings).receive(packet, from, reply); }, hex,
                 source);
  }
  std::string pcp(const std::string& hex, std::optional<Address> source = std::nullopt) {
    return asked([&](ByteView packet, const Address& from, auto reply) { pcp::Server(mappings).receive(packet, from, reply); }, hex,
                 source);
  }
  template <class Ask>
  std::string asked(Ask ask, const std::string& hex, std::optional<Address> source) {
    std::string answer;
    int answers = 0;
    const auto packet = from_hex(hex);
    ask(*packet, source.value_or(mappings.laptop()), [&](const Bytes& bytes) {
      answer = to_hex(bytes);
      ++answers;
    });
    EXPECT_LE(answers, 1);
    return answer;
  }
  // A MAP request of the laptop.
  std::string map(std::uint8_t protocol, std::uint16_t internal, std::uint16_t suggested, std::uint32_t lifetime_s,
                  const std::string& options = "", const std::string& nonce = "0102030405060708090a0b0c") {
    ByteWriter writer;
    writer.u8(2).u8(1).zeros(2).u32_be(lifetime_s).bytes(pcp::wire_address(mappings.laptop())).bytes(*from_hex(nonce));
    writer.u8(protocol).zeros(3).u16_be(internal).u16_be(suggested).bytes(pcp::wire_address(Address::v4(0)));
    return to_hex(writer.take()) + options;
  }
  static int code(const std::string& answer) { return std::stoi(answer.substr(6, 2), nullptr, 16); }
  static std::uint16_t external_port(const std::string& answer) {
    return static_cast<std::uint16_t>(std::stoi(answer.substr(84, 4), nullptr, 16));
  }
  const lease::Lease* tcp(std::uint16_t port) const { return mappings.book.lease({"main", Protocol::tcp, Port{port}}); }

  BookMappings mappings;
};

TEST_F(PortMappingServers, TheAddressIsTold) { EXPECT_EQ(nat_pmp("0000"), "00800000000003e8c6336401"); }

// As VPN clients ask a gateway for "a port": address first, UDP then TCP for 60 s, the same again 45 s later with the number filled in.
TEST_F(PortMappingServers, TheExchangeOfVpnClients) {
  const auto last = mappings.book.leases_of(mappings.book.device("laptop")->id).back()->on.port;
  const auto number = fmt::format("{:04x}", last.value());
  EXPECT_EQ(nat_pmp("00010000"
                    "00010000"
                    "0000003c"),
            "00810000"
            "000003e8"
            "0001" +
                number + "0000003c");
  EXPECT_EQ(nat_pmp("00020000"
                    "00010000"
                    "0000003c"),
            "00820000"
            "000003e8"
            "0001" +
                number + "0000003c");
  for (int round = 0; round < 20; ++round) {
    mappings.now += std::chrono::seconds(45);
    mappings.book.apply(mappings.book.tick(mappings.now));
    const auto epoch = fmt::format("{:08x}", mappings.epoch_s());
    EXPECT_EQ(nat_pmp("00010000"
                      "0001" +
                      number + "0000003c"),
              "00810000" + epoch + "0001" + number + "0000003c");
    EXPECT_EQ(nat_pmp("00020000"
                      "0001" +
                      number + "0000003c"),
              "00820000" + epoch + "0001" + number + "0000003c");
  }
  EXPECT_EQ(tcp(last.value())->local_port, last);
}

TEST_F(PortMappingServers, GluetunsNumbersLeadToThePublicOneAndOthersToTheirOwn) {
  nat_pmp(
      "00020000"
      "ddd50000"
      "0000003c");  // 56789
  const auto* vpn = mappings.book.mapping(mappings.book.device("laptop")->id, Protocol::tcp, Port{56789});
  ASSERT_TRUE(vpn);
  EXPECT_EQ(vpn->local_port, vpn->on.port);
  nat_pmp(
      "00020000"
      "ddd60000"
      "00001c20");  // 56790, but for two hours: some other program
  const auto* program = mappings.book.mapping(mappings.book.device("laptop")->id, Protocol::tcp, Port{56790});
  ASSERT_TRUE(program);
  EXPECT_EQ(program->local_port, Port{56790});
}

TEST_F(PortMappingServers, ErrorsRepeatTheRequestInFull) {
  for (int n = 0; n < 5; ++n)
    nat_pmp(
        fmt::format("00020000"
                    "{:04x}0000"
                    "00000e10",
                    2000 + n));
  EXPECT_EQ(nat_pmp("00020000"
                    "1ae14e20"
                    "00000e10"),
            "00820004"
            "000003e8"
            "1ae14e20"
            "00000e10");
  mappings.fail_with(failure("disk_full", "the disk is full"));
  EXPECT_EQ(nat_pmp("00020000"
                    "1ae14e20"
                    "00000e10"),
            "00820003"
            "000003e8"
            "1ae14e20"
            "00000e10");
}

TEST_F(PortMappingServers, DeletionIsAnsweredWithZerosAlsoWhenThereWasNothing) {
  nat_pmp(
      "00020000"
      "1ae10000"
      "00000e10");
  EXPECT_EQ(mappings.mappings_of(mappings.laptop()).size(), 1U);
  EXPECT_EQ(nat_pmp("00020000"
                    "1ae10000"
                    "00000000"),
            "00820000"
            "000003e8"
            "1ae10000"
            "00000000");
  EXPECT_TRUE(mappings.mappings_of(mappings.laptop()).empty());
  EXPECT_EQ(nat_pmp("00020000"
                    "1ae10000"
                    "00000000"),
            "00820000"
            "000003e8"
            "1ae10000"
            "00000000");
}

TEST_F(PortMappingServers, DeleteAllEndsOnlyTheSendersOfThatProtocolAndDoor) {
  nat_pmp(
      "00020000"
      "1ae10000"
      "00000e10");
  nat_pmp(
      "00010000"
      "1ae10000"
      "00000e10");
  pcp(map(6, 8080, 0, 3600));
  nat_pmp(
      "00020000"
      "00000000"
      "00000000",
      mappings.phone());
  EXPECT_EQ(mappings.mappings_of(mappings.laptop()).size(), 3U);
  nat_pmp(
      "00020000"
      "00000000"
      "00000000");
  EXPECT_EQ(mappings.mappings_of(mappings.laptop()).size(), 2U) << "UDP, and what PCP made, stay";
}

TEST_F(PortMappingServers, StrangersHearNothing) {
  EXPECT_EQ(nat_pmp("0000", *parse_address("10.77.0.200")), "");
  EXPECT_EQ(pcp(map(6, 80, 0, 60), *parse_address("203.0.113.9")), "");
}

TEST_F(PortMappingServers, PcpMapsRenewsAndDeletes) {
  const auto first = pcp(map(6, 8080, 0, 600));
  EXPECT_EQ(first.size(), 120U);
  EXPECT_EQ(first.substr(0, 24),
            "02810000"
            "00000258"
            "000003e8");
  EXPECT_EQ(first.substr(48, 24), "0102030405060708090a0b0c");
  EXPECT_EQ(first.substr(88), "00000000000000000000ffffc6336401");
  const auto again = pcp(map(6, 8080, 0, 600, "", "ffffffffffffffffffffffff"));
  EXPECT_EQ(external_port(again), external_port(first)) << "another nonce of the same sender takes it over";
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 0))), 2) << "but does not delete it";
  EXPECT_EQ(tcp(external_port(first))->local_port, Port{8080});
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 0, "", "ffffffffffffffffffffffff"))), 0);
  EXPECT_EQ(tcp(external_port(first))->local_port, tcp(external_port(first))->on.port);
}

TEST_F(PortMappingServers, PcpRefusesByItsCodes) {
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 600), mappings.phone())), 12) << "the header names another";
  EXPECT_EQ(code(pcp(map(0, 0, 0, 600))), 9) << "all ports";
  EXPECT_EQ(code(pcp(map(47, 8080, 0, 600))), 9);
  EXPECT_EQ(code(pcp(map(6, 8080, 443, 600, "02000000"))), 11) << "PREFER_FAILURE";
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 600, "02000000"))), 11);
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 600,
                         "01000010"
                         "00000000000000000000ffff0a4d0003"))),
            5)
      << "THIRD_PARTY";
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 600,
                         "03000014"
                         "00800000"
                         "00000000000000000000ffffcb007109"))),
            5)
      << "FILTER";
  for (int n = 0; n < 5; ++n) EXPECT_EQ(code(pcp(map(6, static_cast<std::uint16_t>(2000 + n), 0, 600))), 0);
  EXPECT_EQ(code(pcp(map(6, 8080, 0, 600))), 10) << "the quota";
}

TEST_F(PortMappingServers, PcpPortSetSaysHowManyThereAre) {
  const auto answer = pcp(map(17, 5004, 0, 600,
                              "82000005"
                              "0004138c01000000"));
  EXPECT_EQ(code(answer), 0);
  EXPECT_EQ(external_port(answer) % 2, 0);
  EXPECT_EQ(answer.substr(120),
            "82000005"
            "0004138c01000000");
}

TEST_F(PortMappingServers, PcpAnnounceIsAnswered) {
  const auto me = to_hex(pcp::wire_address(mappings.laptop()));
  EXPECT_EQ(pcp("02000000"
                "00000000" +
                me),
            "02800000"
            "00000000"
            "000003e8"
            "000000000000000000000000");
  EXPECT_EQ(code(pcp("02000000"
                     "00000000" +
                         me,
                     mappings.phone())),
            12);
}

}  // namespace
}  // namespace drpf::protocol
