#include "client/follow/lease_requests.h"

#include <gtest/gtest.h>

namespace drpf::client {
namespace {

std::string lease(int public_port, int local_port, const char* protocol, const char* kind = "automatic",
                  const char* address = "198.51.100.1") {
  return std::string(R"({"host":"main","protocol":")") + protocol + R"(","public_address":")" + address + R"(","public_port":)" +
         std::to_string(public_port) + R"(,"local_port":)" + std::to_string(local_port) + R"(,"state":"active","kind":")" + kind + "\"}";
}

TEST(GivenLeases, BothProtocolsAndFamiliesAreOne) {
  const auto given = parse_given_leases("[" + lease(20000, 25565, "tcp", "requested", "2001:db8::1") + "," +
                                            lease(20000, 25565, "tcp", "requested") + "," + lease(20000, 25565, "udp", "requested") + "]",
                                        Port{25565});
  ASSERT_TRUE(given);
  EXPECT_EQ(*given, (FollowLease{"main", *parse_address("198.51.100.1"), Port{20000}, Port{25565}, true, true}));
}

TEST(GivenLeases, RefusesWhatIsNone) {
  for (const auto& text :
       {std::string("[]"), std::string("{}"), std::string("nonsense"), std::string("[1]"), "[" + lease(20000, 1, "tcp") + "]",
        "[" + lease(0, 25565, "tcp") + "]", "[" + lease(70000, 25565, "tcp") + "]", "[" + lease(20000, 25565, "sctp") + "]",
        std::string(R"([{"host":"../x","protocol":"tcp","public_port":1,"local_port":25565}])")})
    EXPECT_FALSE(parse_given_leases(text, Port{25565})) << text;
}

}  // namespace
}  // namespace drpf::client
