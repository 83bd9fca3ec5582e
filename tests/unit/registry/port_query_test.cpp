#include "registry/port_query.h"

#include <gtest/gtest.h>

namespace drpf::registry {

TEST(PortQuery, IsANumberARangeOrAWord) {
  EXPECT_EQ(parse_port_query("1720")->ports, PortRange(Port{1720}));
  EXPECT_EQ(parse_port_query("0")->ports, PortRange(Port{0}));
  EXPECT_EQ(parse_port_query("0080")->ports, PortRange(Port{80}));
  EXPECT_EQ(parse_port_query("6881-6889")->ports, PortRange(Port{6881}, Port{6889}));
  EXPECT_EQ(parse_port_query("53/UDP")->transport, Transport::udp);
  EXPECT_EQ(parse_port_query("53/udp")->ports, PortRange(Port{53}));
  EXPECT_EQ(parse_port_query("pop3")->ports, std::nullopt);
  EXPECT_EQ(parse_port_query("pop3/tcp")->text, "pop3");
  EXPECT_EQ(parse_port_query("z39-50")->text, "z39-50") << "a name with a dash";
  EXPECT_EQ(parse_port_query("914c/g")->text, "914c/g") << "a name with a slash";
  EXPECT_EQ(parse_port_query("/tcp")->text, "/tcp");
}

TEST(PortQuery, NumbersThatAreNoPortsSayWhatWasMeant) {
  const auto too_high = parse_port_query("65536");
  ASSERT_FALSE(too_high);
  EXPECT_EQ(too_high.error().message, "65536 is no port number: port numbers have 16 bits, so they go from 0 to 65535");
  EXPECT_EQ(too_high.error().cure, "the last one is 65535");
  EXPECT_EQ(parse_port_query("80800").error().cure, "did you mean 8080 (http-alt)?");
  EXPECT_EQ(parse_port_query("172000").error().cure, "the last one is 65535") << "17200 is not well known";
  EXPECT_FALSE(parse_port_query("99999999999999999999"));
  EXPECT_FALSE(parse_port_query("1-65536"));
  EXPECT_EQ(parse_port_query("6889-6881").error().cure, "write 6881-6889");
  EXPECT_FALSE(parse_port_query(""));
  EXPECT_FALSE(parse_port_query(std::string(65, 'a')));
}

}  // namespace drpf::registry
