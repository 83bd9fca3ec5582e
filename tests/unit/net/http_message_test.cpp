#include "net/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(ParseTarget, SplitsPathAndQuery) {
  const auto target = parse_target("/v1/devices/nas/config?inbound_only=1&endpoint=vpn.example.org");
  ASSERT_TRUE(target);
  EXPECT_THAT(target->path, ElementsAre("v1", "devices", "nas", "config"));
  EXPECT_THAT(target->query, ElementsAre(Pair("endpoint", "vpn.example.org"), Pair("inbound_only", "1")));
}

TEST(ParseTarget, DecodesPercentCodesAfterSplitting) {
  const auto target = parse_target("/v1/a%2Fb%20c?n%3D=%26");
  ASSERT_TRUE(target);
  EXPECT_THAT(target->path, ElementsAre("v1", "a/b c"));
  EXPECT_THAT(target->query, ElementsAre(Pair("n=", "&")));
}

TEST(ParseTarget, ASlashAtTheEndMeansNothing) {
  EXPECT_THAT(parse_target("/v1/status/")->path, ElementsAre("v1", "status"));
  EXPECT_THAT(parse_target("/")->path, ElementsAre(""));
  EXPECT_THAT(parse_target("/v1?")->path, ElementsAre("v1"));
}

TEST(ParseTarget, RefusesWhatIsNoPath) {
  for (const auto* bad : {"", "v1", "*", "http://gateway/v1", "/%", "/%4", "/%zz", "/a%00b", "/v1?a=%f"}) {
    const auto target = parse_target(bad);
    ASSERT_FALSE(target) << bad;
    EXPECT_EQ(target.error().code, "target_invalid");
  }
}

TEST(ParseTarget, RefusesMorePartsAndParametersThanTheLimits) {
  std::string many_parts;
  for (std::size_t i = 0; i <= path_segments_max; ++i) many_parts += "/a";
  EXPECT_THAT(parse_target(many_parts).error().message, HasSubstr("more than 16 parts"));
  std::string many_parameters = "/?";
  for (std::size_t i = 0; i <= query_parameters_max; ++i) many_parameters += "p" + std::to_string(i) + "&";
  EXPECT_THAT(parse_target(many_parameters).error().message, HasSubstr("more than 16 parameters"));
}

TEST(PercentEncode, ComesBackWhole) {
  std::string every_byte;
  for (int byte = 1; byte < 256; ++byte) every_byte.push_back(static_cast<char>(byte));
  EXPECT_THAT(parse_target("/" + percent_encode(every_byte))->path, ElementsAre(every_byte));
}

}  // namespace
}  // namespace drpf::net
