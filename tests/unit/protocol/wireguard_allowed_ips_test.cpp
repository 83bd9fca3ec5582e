#include "protocol/wireguard/allowed_ips.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace drpf::protocol::wireguard {
namespace {

constexpr PeerId a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;

Prefix prefix(const char* text) { return *parse_prefix(text); }
Address address(const char* text) { return *parse_address(text); }

class AllowedIpsTest : public ::testing::Test {
 protected:
  void insert(const char* text, PeerId peer) { routes.insert(prefix(text), peer); }
  std::optional<PeerId> owner(const char* text) const { return AllowedIps(routes).lookup(address(text)); }
  AllowedIpsRoutes routes;
};

TEST_F(AllowedIpsTest, TheCoreCases) {
  insert("192.168.4.0/24", a);
  insert("192.168.4.4/32", b);
  insert("192.168.0.0/16", c);
  insert("192.95.5.64/27", d);
  insert("192.95.5.65/27", c);
  insert("0.0.0.0/0", e);
  EXPECT_EQ(owner("192.168.4.20"), a);
  EXPECT_EQ(owner("192.168.4.4"), b);
  EXPECT_EQ(owner("192.168.200.182"), c);
  EXPECT_EQ(owner("192.95.5.68"), c);
  EXPECT_EQ(owner("192.95.5.96"), e);
  EXPECT_EQ(routes.of_peer(d), std::vector<Prefix>{});
}

TEST_F(AllowedIpsTest, LongestPrefixWinsInBothFamilies) {
  insert("10.0.0.0/8", a);
  insert("10.1.0.0/16", b);
  insert("10.1.2.0/24", c);
  insert("10.1.2.128/25", d);
  insert("10.1.2.129/32", e);
  EXPECT_EQ(owner("10.9.9.9"), a);
  EXPECT_EQ(owner("10.1.9.9"), b);
  EXPECT_EQ(owner("10.1.2.9"), c);
  EXPECT_EQ(owner("10.1.2.200"), d);
  EXPECT_EQ(owner("10.1.2.129"), e);
  EXPECT_EQ(owner("11.0.0.1"), std::nullopt);
  EXPECT_EQ(owner("::1"), std::nullopt);

  insert("::/0", f);
  insert("2607:5300:6006:6b00::/64", d);
  insert("2607:5300:6006:6b00::c05f:543/128", c);
  insert("2607:5300::/32", g);
  insert("2404:6800:4004:806::/96", a);
  insert("2404:6800:4004:806:0:1::/96", b);
  EXPECT_EQ(owner("2607:5300:6006:6b00::c05f:543"), c);
  EXPECT_EQ(owner("2607:5300:6006:6b00::c02e:1ee"), d);
  EXPECT_EQ(owner("2607:5300:6006:6b01::1"), g);
  EXPECT_EQ(owner("2404:6800:4004:806::1006"), a);
  EXPECT_EQ(owner("2404:6800:4004:806:0:1::1"), b);
  EXPECT_EQ(owner("2404:6800:4004:806:0:2::1"), f);
  EXPECT_EQ(owner("ffff::"), f);
}

TEST_F(AllowedIpsTest, DefaultRoutesOfOneFamilySayNothingOfTheOther) {
  insert("0.0.0.0/0", a);
  EXPECT_EQ(owner("255.255.255.255"), a);
  EXPECT_EQ(owner("0.0.0.0"), a);
  EXPECT_EQ(owner("::"), std::nullopt);
  insert("::/0", b);
  EXPECT_EQ(owner("::"), b);
  EXPECT_EQ(owner("::ffff:10.0.0.1"), b);
}

TEST_F(AllowedIpsTest, HostBitsAreMasked) {
  insert("10.7.7.7/8", a);
  insert("2001:db8:1:2:3:4:5:6/48", b);
  EXPECT_EQ(owner("10.255.0.1"), a);
  EXPECT_EQ(owner("2001:db8:1:ffff::"), b);
  EXPECT_EQ(routes.of_peer(a), std::vector<Prefix>{prefix("10.0.0.0/8")});
}

TEST_F(AllowedIpsTest, ExtremeAddresses) {
  insert("0.0.0.0/32", a);
  insert("255.255.255.255/32", b);
  insert("128.0.0.0/1", c);
  insert("::/128", d);
  insert("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", e);
  insert("8000::/1", g);
  insert("2001:db8::/127", h);
  EXPECT_EQ(owner("0.0.0.0"), a);
  EXPECT_EQ(owner("0.0.0.1"), std::nullopt);
  EXPECT_EQ(owner("255.255.255.255"), b);
  EXPECT_EQ(owner("255.255.255.254"), c);
  EXPECT_EQ(owner("127.255.255.255"), std::nullopt);
  EXPECT_EQ(owner("::"), d);
  EXPECT_EQ(owner("::1"), std::nullopt);
  EXPECT_EQ(owner("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), e);
  EXPECT_EQ(owner("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), g);
  EXPECT_EQ(owner("2001:db8::1"), h);
  EXPECT_EQ(owner("2001:db8::2"), std::nullopt);
}

TEST_F(AllowedIpsTest, InsertTakesAPrefixOverFromAnotherPeer) {
  insert("10.0.0.1/32", a);
  insert("10.0.0.1/32", b);
  EXPECT_EQ(owner("10.0.0.1"), b);
  routes.remove_peer(a);
  EXPECT_EQ(owner("10.0.0.1"), b);
}

TEST_F(AllowedIpsTest, RemoveTakesOneRouteOfThatPeerOnly) {
  insert("10.0.0.0/24", a);
  insert("10.0.0.1/32", b);
  EXPECT_FALSE(routes.remove(prefix("10.0.0.1/32"), a)) << "it is b's";
  EXPECT_EQ(owner("10.0.0.1"), b);
  EXPECT_TRUE(routes.remove(prefix("10.0.0.1/32"), b));
  EXPECT_FALSE(routes.remove(prefix("10.0.0.1/32"), b));
  EXPECT_EQ(owner("10.0.0.1"), a);
  EXPECT_EQ(routes.of_peer(b), std::vector<Prefix>{});
}

TEST_F(AllowedIpsTest, RemovePeerTakesAllItsRoutes) {
  insert("1.0.0.0/32", a);
  insert("64.0.0.0/32", a);
  insert("128.0.0.0/32", b);
  insert("192.0.0.0/32", a);
  insert("255.0.0.0/32", a);
  insert("2001:db8::/32", a);
  routes.remove_peer(a);
  for (const char* text : {"1.0.0.0", "64.0.0.0", "192.0.0.0", "255.0.0.0", "2001:db8::1"}) EXPECT_EQ(owner(text), std::nullopt) << text;
  EXPECT_EQ(owner("128.0.0.0"), b);
  routes.remove_peer(b);
  routes.remove_peer(h);
  EXPECT_TRUE(routes.all().empty());
  EXPECT_EQ(owner("128.0.0.0"), std::nullopt);
}

TEST_F(AllowedIpsTest, EnumeratesAPeersRoutes) {
  insert("192.95.5.93/27", a);
  insert("192.95.5.64/27", a);
  insert("10.0.0.0/8", a);
  insert("10.0.0.1/32", b);
  insert("fd77::/64", a);
  const auto mine = routes.of_peer(a);
  EXPECT_EQ(mine.size(), 3U);
  for (const char* text : {"192.95.5.64/27", "10.0.0.0/8", "fd77::/64"}) EXPECT_TRUE(std::ranges::count(mine, prefix(text)) == 1) << text;
}

TEST_F(AllowedIpsTest, ASnapshotDoesNotChange) {
  insert("10.0.0.0/8", a);
  const AllowedIps snapshot(routes);
  insert("10.0.0.0/8", b);
  routes.remove_peer(b);
  EXPECT_EQ(snapshot.lookup(address("10.1.1.1")), a);
  EXPECT_EQ(owner("10.1.1.1"), std::nullopt);
}

TEST_F(AllowedIpsTest, LooksIntoPacketHeaders) {
  insert("10.0.0.1/32", a);
  insert("10.0.0.2/32", b);
  insert("fd77::1/128", c);
  insert("fd77::2/128", d);
  const AllowedIps snapshot(routes);
  Bytes v4(20);
  v4[0] = 0x45;
  const auto put = [](Bytes& packet, std::size_t at, const char* text) {
    const auto parsed = address(text);
    std::ranges::copy(parsed.bytes(), packet.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(v4, 12, "10.0.0.1");
  put(v4, 16, "10.0.0.2");
  EXPECT_EQ(snapshot.lookup_source(v4), a);
  EXPECT_EQ(snapshot.lookup_destination(v4), b);
  Bytes v6(40);
  v6[0] = 0x60;
  put(v6, 8, "fd77::1");
  put(v6, 24, "fd77::2");
  EXPECT_EQ(snapshot.lookup_source(v6), c);
  EXPECT_EQ(snapshot.lookup_destination(v6), d);
  for (auto packet : {Bytes{}, Bytes{0x45}, Bytes(19, 0x45), Bytes(39, 0x60), Bytes(60, 0x55)}) {
    EXPECT_EQ(snapshot.lookup_source(packet), std::nullopt);
    EXPECT_EQ(snapshot.lookup_destination(packet), std::nullopt);
  }
  EXPECT_EQ(snapshot.lookup_v6(Bytes(4)), std::nullopt);
}

// Regression 1: a peer whose net contains another peer's address does not speak for that address.
TEST_F(AllowedIpsTest, Regression1_SourceBelongsToTheLongestPrefixOnly) {
  insert("10.0.0.0/8", a);
  insert("10.0.0.5/32", b);
  EXPECT_EQ(owner("10.0.0.5"), b);
  EXPECT_NE(owner("10.0.0.5"), a);
  EXPECT_EQ(owner("10.0.0.6"), a);
}

TEST_F(AllowedIpsTest, ManyHostsInOneTable) {
  for (std::uint32_t i = 0; i < 65'536; ++i) routes.insert(Prefix::host(Address::v4(0x0a4d0000 + i)), i);
  const AllowedIps snapshot(routes);
  for (std::uint32_t i = 0; i < 65'536; ++i) ASSERT_EQ(snapshot.lookup_v4(0x0a4d0000 + i), i);
  EXPECT_EQ(snapshot.lookup_v4(0x0a4cffff), std::nullopt);
  EXPECT_EQ(snapshot.lookup_v4(0x0a4e0000), std::nullopt);
}

// -- Against a naive list -----------------------------------------------------------------------------------------------------------

struct NaiveList {
  std::vector<std::pair<Prefix, PeerId>> routes;
  void insert(const Prefix& prefix, PeerId peer) {
    for (auto& route : routes)
      if (route.first == prefix) {
        route.second = peer;
        return;
      }
    routes.emplace_back(prefix, peer);
  }
  std::optional<PeerId> lookup(const Address& address) const {
    const std::pair<Prefix, PeerId>* best = nullptr;
    for (const auto& route : routes)
      if (route.first.contains(address) && (best == nullptr || route.first.length() > best->first.length())) best = &route;
    return best == nullptr ? std::nullopt : std::optional(best->second);
  }
};

Address random_address(std::mt19937_64& random, Family family) {
  std::array<std::uint8_t, 16> bytes{};
  // Few different bytes, so that prefixes nest and addresses hit.
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : random() % 3);
  return Address::from_bytes(std::span(bytes).first(family == Family::v4 ? 4 : 16));
}
Address mutated(std::mt19937_64& random, const Address& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address.bytes(), bytes.begin());
  const auto size = address.bytes().size();
  for (auto flips = random() % 3; flips > 0; --flips) {
    const auto bit = random() % (size * 8);
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
  return Address::from_bytes(std::span(bytes).first(size));
}

TEST(AllowedIpsDifferential, AgreesWithANaiveListThroughChanges) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 6; ++round) {
    AllowedIpsRoutes routes;
    NaiveList naive;
    std::vector<Address> bases;
    for (int change = 0; change < 5; ++change) {
      for (int i = 0; i < 60; ++i) {
        const auto family = random() % 2 == 0 ? Family::v4 : Family::v6;
        const auto base =
            bases.empty() || random() % 3 == 0 ? random_address(random, family) : mutated(random, bases[random() % bases.size()]);
        bases.push_back(base);
        const auto length = random() % 4 == 0 ? base.bits() : static_cast<unsigned>(random() % (base.bits() + 1));
        const Prefix route(base, length);
        const auto peer = static_cast<PeerId>(random() % 2000);
        routes.insert(route, peer);
        naive.insert(route, peer);
      }
      if (change == 2) {
        const auto victim = naive.routes[random() % naive.routes.size()].second;
        routes.remove_peer(victim);
        std::erase_if(naive.routes, [victim](const auto& route) { return route.second == victim; });
      }
      if (change == 3) {
        const auto victim = naive.routes[random() % naive.routes.size()];
        EXPECT_TRUE(routes.remove(victim.first, victim.second));
        std::erase(naive.routes, victim);
      }
      ASSERT_EQ(routes.all().size(), naive.routes.size());
      const AllowedIps snapshot(routes);
      for (int query = 0; query < 1000; ++query) {
        const auto wanted = random() % 4 == 0 ? random_address(random, random() % 2 == 0 ? Family::v4 : Family::v6)
                                              : mutated(random, bases[random() % bases.size()]);
        ASSERT_EQ(snapshot.lookup(wanted), naive.lookup(wanted)) << to_string(wanted);
      }
    }
  }
}

}  // namespace
}  // namespace drpf::protocol::wireguard
