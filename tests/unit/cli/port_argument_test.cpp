#include "cli/port_argument.h"

#include <gtest/gtest.h>

namespace drpf::cli {
namespace {

TEST(PortArgument, IsANumberOrAnyWithAProtocolOrNot) {
  EXPECT_EQ(*parse_port_argument("20000"), (PortArgument{PortRange{Port{20000}}, std::nullopt}));
  EXPECT_EQ(*parse_port_argument("20000/tcp"), (PortArgument{PortRange{Port{20000}}, Protocol::tcp}));
  EXPECT_EQ(*parse_port_argument("any/udp"), (PortArgument{std::nullopt, Protocol::udp}));
  EXPECT_EQ(*parse_port_argument("any"), (PortArgument{std::nullopt, std::nullopt}));
  for (const auto* bad : {"", "/", "/tcp", "20000/", "20000/TCP", "20000/tcp/udp", "-1", "65536", "2e4", "0x50", " 80", "any1", "20000-",
                          "20001-20000", "20000-20001-20002"})
    EXPECT_EQ(parse_port_argument(bad).error().code, "usage") << bad;
}

TEST(PortArgument, SeveralStandInOneWordOrInMany) {
  const std::vector<PortArgument> all{
      {PortRange{Port{80}}, std::nullopt}, {PortRange{Port{20100}, Port{20119}}, Protocol::udp}, {std::nullopt, std::nullopt}};
  EXPECT_EQ(*parse_port_arguments({"80,20100-20119/udp,any"}), all);
  EXPECT_EQ(*parse_port_arguments({"80", "20100-20119/udp", "any"}), all);
  EXPECT_EQ(to_string(all[1]), "20100-20119/udp");
  for (const auto* bad : {"80,", ",80", "80,,443", "80, 443"}) EXPECT_EQ(parse_port_arguments({bad}).error().code, "usage") << bad;
}

}  // namespace
}  // namespace drpf::cli
