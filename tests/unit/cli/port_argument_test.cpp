#include "cli/port_argument.h"

#include <gtest/gtest.h>

namespace drpf::cli {
namespace {

TEST(PortArgument, IsANumberOrAnyWithAProtocolOrNot) {
  EXPECT_EQ(*parse_port_argument("20000"), (PortArgument{Port{20000}, std::nullopt}));
  EXPECT_EQ(*parse_port_argument("20000/tcp"), (PortArgument{Port{20000}, Protocol::tcp}));
  EXPECT_EQ(*parse_port_argument("any/udp"), (PortArgument{std::nullopt, Protocol::udp}));
  EXPECT_EQ(*parse_port_argument("any"), (PortArgument{std::nullopt, std::nullopt}));
  for (const auto* bad : {"", "/", "/tcp", "20000/", "20000/TCP", "20000/tcp/udp", "-1", "65536", "2e4", "0x50", " 80", "any1"})
    EXPECT_EQ(parse_port_argument(bad).error().code, "usage") << bad;
}

}  // namespace
}  // namespace drpf::cli
