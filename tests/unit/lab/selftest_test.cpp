#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lab/selftest/attacks.h"
#include "lab/selftest/packets.h"
#include "lab/selftest/verdict.h"
#include "lab/stage/sockets.h"

namespace drpf::lab::selftest {
namespace {

using ::testing::HasSubstr;

TEST(SelftestTrial, IsClosedOnlyWhereTheHonestWayWorked) {
  Trial trial;
  EXPECT_EQ(trial.end("fine").verdict, Verdict::untried) << "nothing was tried";
  trial.control(true, "a");
  trial.breach(false, "b");
  EXPECT_EQ(trial.end("fine").verdict, Verdict::closed);
  EXPECT_EQ(trial.end("fine").detail, "fine");
  trial.control(false, "no visitor came through");
  EXPECT_EQ(trial.end("fine").verdict, Verdict::untried);
  EXPECT_THAT(trial.end("fine").detail, HasSubstr("no visitor came through"));
  trial.breach(true, "a stranger came through");
  EXPECT_EQ(trial.end("fine").verdict, Verdict::open) << "a hole outweighs a broken control";
  EXPECT_EQ(trial.end("fine").detail, "a stranger came through");
}

TEST(SelftestTrial, OfManyThingsAFewAreTold) {
  Trial trial;
  for (const char* what : {"1", "2", "3", "4", "5"}) trial.breach(true, what);
  EXPECT_EQ(trial.end({}).detail, "1; 2; 3; and 2 more");
}

Finding finding(Verdict verdict, const std::string& detail) { return {"name", "Title", verdict, detail}; }

TEST(SelftestVerdict, TheWorseOfBothFamiliesCounts) {
  const auto closed = finding(Verdict::closed, "a"), open = finding(Verdict::open, "b"), untried = finding(Verdict::untried, "c");
  EXPECT_EQ(merged(closed, closed).detail, "a; the same over IPv6");
  EXPECT_EQ(merged(closed, open).verdict, Verdict::open);
  EXPECT_EQ(merged(open, closed).verdict, Verdict::open);
  EXPECT_EQ(merged(open, untried).verdict, Verdict::open);
  EXPECT_EQ(merged(untried, open).verdict, Verdict::open);
  EXPECT_EQ(merged(closed, untried).verdict, Verdict::untried);
  EXPECT_EQ(merged(untried, closed).detail, "over IPv4: c");
  EXPECT_EQ(merged(closed, open).detail, "over IPv6: b");
}

TEST(SelftestVerdict, OnlyAllClosedPasses) {
  EXPECT_FALSE(all_closed({})) << "nothing was tried";
  EXPECT_TRUE(all_closed({finding(Verdict::closed, "")}));
  EXPECT_FALSE(all_closed({finding(Verdict::closed, ""), finding(Verdict::untried, "")}));
  EXPECT_EQ(to_json({finding(Verdict::untried, "x")}),
            R"({"passed":false,"threats":[{"name":"name","title":"Title","verdict":"untried","detail":"x"}]})");
  EXPECT_EQ(to_text(finding(Verdict::open, "seen"), false), "✘ Title (name): OPEN\n    seen\n");
}

TEST(SelftestThreats, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const Threat& threat : threats()) {
    EXPECT_TRUE(names.insert(threat.name).second) << threat.name;
    EXPECT_NE(threat.attack, nullptr);
  }
  EXPECT_GE(names.size(), 20U);
}

std::uint16_t sum_of(const std::string& bytes) {
  return lab::internet_checksum({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

// RFC 1071: over a whole with its checksum in it, the sum comes out as zero.
TEST(SelftestPackets, HeadersAndSegmentsSumUp) {
  for (const auto& [source, target] : {std::pair{"192.0.2.1", "198.51.100.7"}, {"2001:db8::1", "2001:db8:51::7"}}) {
    const Addresses addresses{*parse_address(source), *parse_address(target)};
    const bool v4 = addresses.source.is_v4();
    const std::size_t header = v4 ? 20 : 40;
    for (const auto& [packet, protocol] : {std::pair{udp_packet(addresses, {Port(1), Port(2)}, "odd"), protocol_number::udp},
                                           {tcp_packet(addresses, {Port(1), Port(2)}, tcp_flag::syn, 77, "text"), protocol_number::tcp}}) {
      if (v4) {
        EXPECT_EQ(sum_of(packet.substr(0, header)), 0);
      }
      std::string pseudo;
      for (const Address& address : {addresses.source, addresses.target})
        for (const std::uint8_t byte : address.bytes()) pseudo.push_back(static_cast<char>(byte));
      const std::string segment = packet.substr(header);
      pseudo += {0, 0, 0, static_cast<char>(segment.size()), 0, 0, 0, static_cast<char>(protocol)};
      EXPECT_EQ(sum_of(pseudo + segment), 0) << source << " protocol " << int{protocol};
    }
  }
}

TEST(SelftestPackets, FragmentsPutTogetherAreTheWhole) {
  const Addresses addresses{*parse_address("192.0.2.1"), *parse_address("198.51.100.7")};
  const std::string text(100, 'x');
  const std::string whole = udp_packet(addresses, {Port(1), Port(2)}, text).substr(20);
  const auto parts = udp_fragments(addresses, {Port(1), Port(2)}, text, 5, 0);
  EXPECT_EQ(parts[0].substr(20) + parts[1].substr(20), whole);
  EXPECT_EQ(parts[0].substr(20).size() % 8, 0U);
  const auto overlapping = udp_fragments(addresses, {Port(1), Port(2)}, text, 5, 16);
  EXPECT_EQ(overlapping[1].size(), parts[1].size() + 16);
}

}  // namespace
}  // namespace drpf::lab::selftest
