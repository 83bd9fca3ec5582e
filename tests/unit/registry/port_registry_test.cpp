#include "registry/port_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "registry/scan_ports.h"

namespace drpf::registry {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(PortClass, RangesMeetWithoutGaps) {
  EXPECT_EQ(class_of(Port{0}), PortClass::system);
  EXPECT_EQ(class_of(Port{1023}), PortClass::system);
  EXPECT_EQ(class_of(Port{1024}), PortClass::user);
  EXPECT_EQ(class_of(Port{49151}), PortClass::user);
  EXPECT_EQ(class_of(Port{49152}), PortClass::dynamic);
  EXPECT_EQ(class_of(Port{65535}), PortClass::dynamic);
  std::uint32_t numbers = 0;
  for (const auto one : {PortClass::system, PortClass::user, PortClass::dynamic}) {
    EXPECT_EQ(range_of(one).first().value(), numbers);
    numbers += range_of(one).size();
    EXPECT_EQ(class_of(range_of(one).first()), one);
  }
  EXPECT_EQ(numbers, 65536U);
  EXPECT_EQ(to_string(PortClass::dynamic), "dynamic");
}

TEST(PortRegistry, FindsByNumberAndByName) {
  const PortRegistry registry;
  EXPECT_EQ(registry.name_of(Port{110}, Protocol::tcp), "pop3");
  EXPECT_EQ(registry.find(Port{43}, Protocol::tcp)->name, "whois");
  EXPECT_EQ(registry.find(Port{43}, Protocol::tcp)->registered, "nicname");
  EXPECT_EQ(registry.find(Port{51820}, Protocol::udp)->registered, "") << "not in the registry of IANA";
  EXPECT_EQ(registry.find(Port{51820}, Protocol::tcp), std::nullopt);
  EXPECT_EQ(registry.find(Port{4}, Protocol::tcp), std::nullopt);
  EXPECT_THAT(registry.ports_named("smtp", Protocol::tcp), ElementsAre(Port{25}));
  EXPECT_THAT(registry.ports_named("NICNAME", Protocol::tcp), ElementsAre(Port{43}));
  EXPECT_THAT(registry.ports_named("syslog", Protocol::udp), ElementsAre(Port{514}));
  EXPECT_THAT(registry.ports_named("no-such-service", Protocol::udp), IsEmpty());
  EXPECT_THAT(registry.nearest("htttps"), Contains("https"));
  EXPECT_EQ(registry.nearest("htpts", 1), std::vector<std::string_view>{"https"});
}

}  // namespace drpf::registry
