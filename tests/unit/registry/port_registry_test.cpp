#include "registry/port_registry.h"

#include <gtest/gtest.h>

#include <utility>

namespace drpf::registry {

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

TEST(Services, AreAscendingAndComplete) {
  const auto all = services();
  ASSERT_GT(all.size(), 150U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(all[i].name.empty() || all[i].note.empty()) << to_string(all[i].port);
    const bool ascending = i == 0 || std::pair(all[i - 1].port, all[i - 1].protocol) < std::pair(all[i].port, all[i].protocol);
    EXPECT_TRUE(ascending) << to_string(all[i].port);
    EXPECT_EQ(find_service(all[i].port, all[i].protocol), &all[i]);
  }
}

TEST(Services, AreFoundByNumberAndByName) {
  EXPECT_EQ(find_service(Port{110}, Protocol::tcp)->name, "pop3");
  EXPECT_EQ(find_service(Port{43}, Protocol::tcp)->name, "whois");
  EXPECT_EQ(find_service(Port{43}, Protocol::tcp)->registered, "nicname");
  EXPECT_EQ(find_service(Port{51820}, Protocol::udp)->registered, "") << "not in the registry";
  EXPECT_EQ(find_service(Port{51820}, Protocol::tcp), nullptr);
  EXPECT_EQ(find_service(Port{4}, Protocol::tcp), nullptr);
  EXPECT_EQ(find_port("smtp", Protocol::tcp), Port{25});
  EXPECT_EQ(find_port("nicname", Protocol::tcp), Port{43});
  EXPECT_EQ(find_port("syslog", Protocol::udp), Port{514});
  EXPECT_EQ(find_port("syslog", Protocol::tcp), std::nullopt);
}

}  // namespace drpf::registry
