#include "proxy/listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::proxy {
namespace {

using testing::ElementsAre;

Settings listening_on(std::initializer_list<const char*> where) {
  Settings settings;
  for (const auto* const one : where) settings.listen.push_back(*parse_endpoint(one));
  return settings;
}

const std::vector<system::InterfaceAddress> own{{"eth0", *parse_address("192.168.7.1"), 24, true, false, false},
                                                {"eth0", *parse_address("fd07::1"), 64, true, false, false}};

TEST(Listeners, ArePrivate) {
  EXPECT_TRUE(prove_listeners(listening_on({"192.168.7.1:3128", "[fd07::1]:3128", "127.0.0.1:1080"})));
  EXPECT_EQ(prove_listeners(listening_on({})).error().kind, Error::Kind::usage);
  for (const auto* const bad : {"0.0.0.0:3128", "198.51.100.1:3128", "[::]:3128"})
    EXPECT_EQ(prove_listeners(listening_on({bad})).error().code, "listener_not_private");
}

TEST(Listeners, ServeTheirOwnNetworks) {
  EXPECT_THAT(*sources_of(listening_on({"192.168.7.1:3128", "192.168.7.1:1080", "[fd07::1]:3128", "127.0.0.1:3128", "[::1]:3128"}), own),
              ElementsAre(*parse_prefix("192.168.7.0/24"), *parse_prefix("fd07::/64"), *parse_prefix("127.0.0.0/8"), *parse_prefix("::1")));
  auto named = listening_on({"10.0.0.9:3128"});
  EXPECT_EQ(sources_of(named, own).error().code, "address_unknown");
  EXPECT_THAT(*sources_of(named, own, {*parse_prefix("10.0.0.0/16")}), ElementsAre(*parse_prefix("10.0.0.0/16")));
  named.allow = {*parse_prefix("10.9.0.0/16")};
  EXPECT_THAT(*sources_of(named, own), ElementsAre(*parse_prefix("10.9.0.0/16")));
}

}  // namespace
}  // namespace drpf::proxy
