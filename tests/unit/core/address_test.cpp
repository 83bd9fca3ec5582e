#include "core/address.h"

#include <gtest/gtest.h>

namespace drpf {
namespace {

TEST(Address, PrintsWhatItParsed) {
  for (const char* text : {"0.0.0.0", "198.51.100.7", "255.255.255.255", "::", "::1", "2001:db8::7", "fd77:6472:7066::1"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(to_string(*address), text);
  }
}

TEST(Address, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::g", "1::2::3", "host"})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Prefix, ClearsHostBitsAndContains) {
  const auto prefix = *parse_prefix("10.77.3.9/16");
  EXPECT_EQ(to_string(prefix), "10.77.0.0/16");
  EXPECT_TRUE(prefix.contains(*parse_address("10.77.255.255")));
  EXPECT_FALSE(prefix.contains(*parse_address("10.78.0.0")));
  EXPECT_FALSE(prefix.contains(*parse_address("::ffff:10.77.0.1")));
  EXPECT_TRUE(parse_prefix("::/0")->contains(*parse_prefix("2001:db8::/32")));
  EXPECT_FALSE(parse_prefix("10.0.0.0/33"));
  EXPECT_FALSE(parse_prefix("10.0.0.0/"));
}

TEST(Prefix, NthCarriesOverBytes) {
  EXPECT_EQ(to_string(parse_prefix("10.77.0.0/16")->nth(256)), "10.77.1.0");
  EXPECT_EQ(to_string(parse_prefix("fd77::/64")->nth(65536)), "fd77::1:0");
}

TEST(Endpoint, PrintsWhatItParsed) {
  for (const char* text : {"198.51.100.1:51820", "[2001:db8::1]:51820"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
  for (const char* text : {"198.51.100.1", "2001:db8::1:51820", "[198.51.100.1]:1", "[::1]", ":5"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

TEST(PortRange, ParsesSinglesAndRanges) {
  EXPECT_EQ(parse_port_range("20000-20004")->size(), 5U);
  EXPECT_EQ(parse_port_range("110")->first(), Port{110});
  for (const char* text : {"", "-", "1-", "-1", "5-4", "70000", "1-70000", "+1", " 1"}) EXPECT_FALSE(parse_port_range(text)) << text;
}

}  // namespace
}  // namespace drpf
