#include "registry/port_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

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

TEST(PortRegistry, LaterFilesHaveTheLastWordAndAreNamed) {
  PortRegistry registry;
  EXPECT_EQ(registry.find(Port{569}, Protocol::tcp)->source, source_iana);
  EXPECT_EQ(registry.find(Port{5900}, Protocol::tcp)->name, "vnc");
  EXPECT_EQ(registry.find(Port{5900}, Protocol::tcp)->source, source_own);
  EXPECT_EQ(registry.find(Port{5900}, Protocol::tcp)->registered, "rfb");
  registry.overlay("/etc/services", parse_services("rfb 5900/tcp vnc-server\nmine 4/tcp\n").services);
  EXPECT_EQ(registry.find(Port{5900}, Protocol::tcp)->name, "rfb");
  EXPECT_EQ(registry.find(Port{5900}, Protocol::tcp)->source, "/etc/services");
  EXPECT_EQ(registry.find(Port{4}, Protocol::tcp)->name, "mine");
  registry.overlay("own", parse_services("screen 5900/tcp # of the kiosk\n").services);
  const auto screen = registry.find(Port{5900}, Protocol::tcp);
  EXPECT_EQ(screen->name, "screen");
  EXPECT_EQ(screen->source, "own");
  EXPECT_EQ(screen->comment, "of the kiosk");
  EXPECT_THAT(registry.names_of(Port{5900}, Transport::tcp), ElementsAre("screen", "rfb", "vnc-server", "vnc"));
  // All names still lead to the port.
  for (const auto* name : {"screen", "RFB", "vnc-server", "vnc"})
    EXPECT_THAT(registry.ports_named(name, Protocol::tcp), Contains(Port{5900})) << name;
  EXPECT_THAT(registry.nearest("scren"), Contains("screen"));
  // A name may have no letter in it; one that has the same letters is another.
  registry.overlay("odd", parse_services("-- 4444/tcp\nc++ 4445/tcp\nc 4446/tcp\n").services);
  EXPECT_THAT(registry.ports_named("--", Protocol::tcp), ElementsAre(Port{4444}));
  EXPECT_THAT(registry.ports_named("c++", Protocol::tcp), ElementsAre(Port{4445}));
}

TEST(PortRegistry, EveryRowOfIanaIsFoundByNumberAndByName) {
  const PortRegistry registry;
  ASSERT_GT(iana_rows_all().size(), 6000U);
  for (const auto& row : iana_rows_all()) {
    ASSERT_FALSE(row.name().empty());
    for (const auto port : {row.ports().first(), row.ports().last()})
      for (const auto transport : all_transports) {
        if (!row.transports().contains(transport)) continue;
        ASSERT_THAT(registry.names_of(port, transport), Contains(row.name()));
      }
    const auto named = registry.named(row.name());
    ASSERT_TRUE(std::any_of(named.begin(), named.end(), [&](const Service& service) {
      return service.ports.contains(row.ports().first());
    })) << row.name();
  }
  EXPECT_THAT(registry.find(Port{6063}, Protocol::tcp)->name, "x11") << "in a range";
  EXPECT_EQ(registry.find(Port{6063}, Protocol::tcp)->ports, PortRange(Port{6000}, Port{6063}));
  EXPECT_EQ(registry.find(Port{6064}, Protocol::tcp)->name, "ndl-ahp-svc");
  EXPECT_TRUE(registry.named("nothing-of-this-name").empty());
}

TEST(PortRegistry, FindsWordsInPurposesAndNames) {
  const PortRegistry registry;
  const auto mail = registry.about("MAIL");
  const auto has = [&](int port) {
    return std::any_of(mail.begin(), mail.end(), [&](const Service& one) { return one.ports.first().value() == port; });
  };
  for (const int port : {25, 110, 143, 465, 587, 993, 995, 4190, 174}) EXPECT_TRUE(has(port)) << port;
  EXPECT_FALSE(has(22));
  EXPECT_TRUE(mail.front().about) << "those whose purpose is known come first";
  EXPECT_FALSE(mail.back().about);
  EXPECT_THAT(registry.about(""), IsEmpty());
}

TEST(PortRegistry, ShowsARangeOnce) {
  const auto x11 = PortRegistry().within(PortRange(Port{6000}, Port{6063}));
  EXPECT_EQ(
      std::count_if(x11.begin(), x11.end(), [](const Service& one) { return one.ports.size() == 64 && one.transport == Transport::udp; }),
      1);
}

TEST(WellKnownServices, AreAscendingAndSayWhatTheyAreFor) {
  const auto all = well_known();
  ASSERT_GT(all.size(), 200U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(to_string(all[i].port));
    EXPECT_FALSE(all[i].transports.empty());
    EXPECT_FALSE(all[i].name.empty());
    EXPECT_NE(all[i].category, Category::none);
    EXPECT_TRUE(all[i].purpose.ends_with('.'));
    EXPECT_TRUE(all[i].warning.empty() || all[i].warning.ends_with('.'));
    if (i == 0) continue;
    EXPECT_LE(all[i - 1].port, all[i].port);
    EXPECT_FALSE(all[i - 1].port == all[i].port && all[i - 1].transports.overlaps(all[i].transports)) << "twice";
  }
}

// Every port that the documents of this project speak of.
TEST(WellKnownServices, HaveWhatTheMissionNames) {
  for (const int port :
       {21, 22, 23, 25, 80, 110, 139, 389, 443, 522, 563, 569, 1503, 1720, 1731, 1723, 1718, 1719, 990, 995, 993, 587, 465, 445, 636}) {
    const auto* known = find_well_known(Port{static_cast<std::uint16_t>(port)}, Transport::tcp);
    ASSERT_TRUE(known) << port;
    EXPECT_FALSE(known->purpose.empty()) << port;
  }
  for (const int port : {53, 69, 123, 443, 500, 1194, 1701, 1900, 4500, 5060, 5351, 5353, 51820})
    EXPECT_TRUE(find_well_known(Port{static_cast<std::uint16_t>(port)}, Transport::udp)) << port;
  // What has a secure successor names it; what opens further ports says so.
  for (const int port : {21, 23, 25, 80, 110, 139, 389, 1723})
    EXPECT_FALSE(find_well_known(Port{static_cast<std::uint16_t>(port)}, Transport::tcp)->successor.empty()) << port;
  for (const int port : {21, 111, 135, 1720, 5060})
    EXPECT_FALSE(find_well_known(Port{static_cast<std::uint16_t>(port)}, Transport::tcp)->more_ports.empty()) << port;
  EXPECT_FALSE(find_well_known(Port{69}, Transport::udp)->more_ports.empty());
  const PortRegistry registry;
  EXPECT_THAT(registry.ports_named("msn", Protocol::tcp), ElementsAre(Port{569}));
  EXPECT_EQ(registry.find(Port{569}, Protocol::tcp)->name, "ms-rome");
  EXPECT_EQ(registry.find(Port{563}, Protocol::tcp)->name, "nntps");
  EXPECT_EQ(registry.find(Port{51820}, Protocol::udp)->registered, "") << "a habit, not an assignment";
}

}  // namespace drpf::registry
