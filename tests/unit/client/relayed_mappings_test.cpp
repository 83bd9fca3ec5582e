#include "client/share/relayed_mappings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <set>

namespace drpf::client {
namespace {

using namespace std::chrono_literals;
using protocol::port_mapping::Door;
using protocol::port_mapping::Ending;
using protocol::port_mapping::Mapped;
using protocol::port_mapping::Wish;
using testing::IsEmpty;
using testing::SizeIs;

const Address console = Address::v4(0xc0a8320a);
const Address other = Address::v4(0xc0a8320b);
const Address outside = *parse_address("9.9.9.1");

struct TestClock final : Clock {
  Time time{1000s};
  Time now() const override { return time; }
  WallTime wall_now() const override { return {}; }
};

struct Gateway final : RelayUpstream {
  struct Asked {
    RelayAsk ask;
    WhenGiven given;
  };
  void ask(const RelayAsk& ask, WhenGiven given) override { asked.push_back({ask, std::move(given)}); }
  void give_back(const RelayLease& lease) override { given_back.push_back(lease); }
  // Answers the oldest question.
  void give(Port port) {
    auto question = std::move(asked.front());
    asked.pop_front();
    question.given(RelayLease{"main", outside, question.ask.protocol, port});
  }
  void refuse(Error error) {
    auto question = std::move(asked.front());
    asked.pop_front();
    question.given(fail(std::move(error)));
  }
  std::deque<Asked> asked;
  std::vector<RelayLease> given_back;
};

struct Kernel final : RelayRedirect {
  Status put(const RelayRedirection& redirection, Duration lifetime) override {
    if (broken) return fail(failure("kernel", "does not"));
    standing[{redirection.protocol, redirection.relay_port}] = {redirection.machine, lifetime};
    return {};
  }
  Status remove(const RelayRedirection& redirection) override {
    standing.erase({redirection.protocol, redirection.relay_port});
    return {};
  }
  std::map<std::pair<Protocol, Port>, std::pair<Endpoint, Duration>> standing;
  bool broken = false;
};

struct RelayedMappingsTest : testing::Test {
  RelayedMappingsTest() {
    mappings.on_change([this] { ++changes; });
    mappings.reported({}, outside);
  }
  static Wish wish(const Address& client, std::uint16_t internal, Protocol protocol = Protocol::udp) {
    Wish wish;
    wish.client = client;
    wish.protocol = protocol;
    wish.internal_port = Port{internal};
    wish.lifetime = 3600s;
    return wish;
  }
  void map(const Wish& wish) {
    mappings.map(wish, [this](const Result<std::vector<Mapped>>& result) { answers.push_back(result); });
  }
  std::size_t end(const Ending& ending) {
    std::size_t count = 99;
    mappings.end(ending, [&](const Result<std::size_t>& ended) { count = ended ? *ended : 98; });
    return count;
  }
  static Ending all_of(const Address& client) {
    Ending ending;
    ending.client = client;
    return ending;
  }
  PublishedPort published(Port on, Port relay, Protocol protocol = Protocol::udp) const { return {outside, protocol, on, relay}; }

  TestClock clock;
  Gateway gateway;
  Kernel kernel;
  RelayedMappings mappings{gateway, kernel, clock, [](const Address& address) { return address == console || address == other; }};
  std::vector<Result<std::vector<Mapped>>> answers;
  int changes = 0;
};

TEST_F(RelayedMappingsTest, ARequestBecomesALeaseAndASecondRedirect) {
  map(wish(console, 3074));
  ASSERT_THAT(gateway.asked, SizeIs(1));
  EXPECT_EQ(gateway.asked[0].ask.lifetime, 3600s);
  EXPECT_EQ(gateway.asked[0].ask.suggested_port, Port{3074});
  EXPECT_TRUE(relay_ports.contains(gateway.asked[0].ask.relay_port));
  EXPECT_THAT(answers, IsEmpty()) << "not before the gateway has answered";
  const auto relay = gateway.asked[0].ask.relay_port;
  gateway.give(Port{20004});
  ASSERT_TRUE(answers.at(0));
  EXPECT_EQ(answers[0]->at(0).external_port, Port{20004});
  EXPECT_EQ(answers[0]->at(0).lifetime, 3600s);
  EXPECT_EQ(kernel.standing.at({Protocol::udp, relay}), (std::pair<Endpoint, Duration>{{console, Port{3074}}, 3600s}));
  EXPECT_THAT(mappings.mappings_of(console), SizeIs(1));
  EXPECT_THAT(mappings.mappings_of(other), IsEmpty());
}

TEST_F(RelayedMappingsTest, BothProtocolsOfAProgramShareTheRelayPortAndTwoMachinesDoNot) {
  map(wish(console, 3074));
  map(wish(console, 3074, Protocol::tcp));
  map(wish(other, 3074));
  ASSERT_THAT(gateway.asked, SizeIs(3));
  EXPECT_EQ(gateway.asked[0].ask.relay_port, gateway.asked[1].ask.relay_port);
  EXPECT_NE(gateway.asked[0].ask.relay_port, gateway.asked[2].ask.relay_port);
}

TEST_F(RelayedMappingsTest, NoMachineIsGivenAPortThatAServerOfTheDeviceUsesNorMoreThanItsShare) {
  RelayedMappings shared(
      gateway, kernel, clock, [](const Address& address) { return address == console || address == other; },
      [](Port port) { return port == Port{20001}; });
  const auto own = [this](std::uint16_t number) { return published(Port{number}, Port{number}); };
  shared.reported({own(20000), own(20001), own(20002), own(20003)}, outside);
  shared.map(wish(console, 1), [](const auto&) {});
  EXPECT_THAT(gateway.asked.back().ask.avoid, testing::ElementsAre(Port{20001}));
  gateway.give(Port{20003});
  shared.map(wish(console, 2), [](const auto&) {});
  EXPECT_THAT(gateway.asked.back().ask.avoid, testing::ElementsAre(Port{20001}));
  const auto relay = gateway.asked.back().ask.relay_port;
  gateway.give(Port{20002});
  shared.reported({own(20000), own(20001), published(Port{20002}, relay), published(Port{20003}, relay_ports.first())}, outside);
  shared.map(wish(console, 3), [](const auto&) {});
  EXPECT_THAT(gateway.asked.back().ask.avoid, testing::ElementsAre(Port{20000}, Port{20001})) << "half of four it has: only a new one";
  shared.map(wish(other, 3), [](const auto&) {});
  EXPECT_THAT(gateway.asked.back().ask.avoid, testing::ElementsAre(Port{20001})) << "others have theirs";
}

TEST_F(RelayedMappingsTest, WhatSomebodyFlushedLeadsToItsMachineAgain) {
  map(wish(console, 3074));
  gateway.give(Port{20004});
  const auto before = kernel.standing;
  kernel.standing.clear();
  clock.time += 100s;
  mappings.put_again();
  ASSERT_THAT(kernel.standing, SizeIs(1));
  EXPECT_EQ(kernel.standing.begin()->first, before.begin()->first);
  EXPECT_EQ(kernel.standing.begin()->second.second, 3500s) << "for what is left of it";
}

TEST_F(RelayedMappingsTest, AskedTwiceBeforeTheAnswerIsAskedOnce) {
  map(wish(console, 3074));
  map(wish(console, 3074));
  EXPECT_THAT(gateway.asked, SizeIs(1));
  gateway.give(Port{20004});
  EXPECT_THAT(answers, SizeIs(2));
}

TEST_F(RelayedMappingsTest, RefusalsOfTheGatewayKeepTheirCode) {
  map(wish(console, 3074));
  gateway.refuse(refusal("quota_exhausted", "account ann holds 5 of 5 ports"));
  ASSERT_FALSE(answers.at(0));
  EXPECT_EQ(answers[0].error().code, "quota_exhausted");
  EXPECT_THAT(kernel.standing, testing::IsEmpty());
}

TEST_F(RelayedMappingsTest, NothingForStrangersAndNothingWhileTheGatewayIsAway) {
  EXPECT_FALSE(mappings.client(Address::v4(0x08080808)));
  map(wish(Address::v4(0x08080808), 80));
  EXPECT_FALSE(answers.at(0));
  mappings.offline();
  EXPECT_EQ(mappings.client(console)->external_v4, std::nullopt);
  map(wish(console, 80));
  EXPECT_EQ(answers.at(1).error().kind, Error::Kind::unavailable);
  EXPECT_THAT(gateway.asked, IsEmpty());
}

TEST_F(RelayedMappingsTest, DeletionEndsBothAndOnlyOnesOwn) {
  map(wish(console, 3074));
  gateway.give(Port{20004});
  EXPECT_EQ(end(all_of(other)), 0U);
  auto ending = all_of(console);
  ending.door = Door::upnp;
  EXPECT_EQ(end(ending), 0U) << "it came in by NAT-PMP";
  ending.door.reset();
  ending.nonce = lease::Nonce{1};
  EXPECT_EQ(end(ending), 98U);
  EXPECT_THAT(kernel.standing, SizeIs(1));
  EXPECT_EQ(end(all_of(console)), 1U);
  EXPECT_THAT(kernel.standing, testing::IsEmpty());
  EXPECT_THAT(gateway.given_back, SizeIs(1));
}

TEST_F(RelayedMappingsTest, DeletedBeforeItWasGivenIsGivenBack) {
  map(wish(console, 3074));
  end(all_of(console));
  gateway.give(Port{20004});
  EXPECT_FALSE(answers.at(0));
  EXPECT_THAT(kernel.standing, testing::IsEmpty());
  EXPECT_THAT(gateway.given_back, SizeIs(1));
}

TEST_F(RelayedMappingsTest, WhatTheKernelDoesNotTakeIsGivenBack) {
  kernel.broken = true;
  map(wish(console, 3074));
  gateway.give(Port{20004});
  EXPECT_FALSE(answers.at(0));
  EXPECT_THAT(gateway.given_back, SizeIs(1));
  EXPECT_THAT(mappings.mappings_of(console), IsEmpty());
}

TEST_F(RelayedMappingsTest, EndsWithItsLifetimeAndWithTheLeaseUpstream) {
  map(wish(console, 3074));
  const auto relay = gateway.asked[0].ask.relay_port;
  gateway.give(Port{20004});
  mappings.reported({published(Port{20004}, relay)}, outside);
  EXPECT_THAT(kernel.standing, SizeIs(1));
  mappings.reported({}, outside);
  EXPECT_THAT(kernel.standing, testing::IsEmpty()) << "removed by the administrator";
  EXPECT_EQ(changes, 1) << "the machines hear that they have to ask again";
  EXPECT_EQ(mappings.epoch_s(), 0U);

  map(wish(console, 3075));
  gateway.give(Port{20004});
  clock.time += 3600s;
  mappings.tick();
  EXPECT_THAT(kernel.standing, testing::IsEmpty());
  EXPECT_EQ(changes, 1);
}

TEST_F(RelayedMappingsTest, WithoutLifetimeItIsRenewed) {
  auto forever = wish(console, 3074);
  forever.while_connected = true;
  map(forever);
  EXPECT_EQ(gateway.asked[0].ask.lifetime, relay_lifetime_renewed);
  gateway.give(Port{20004});
  for (int i = 0; i < 10; ++i) {
    clock.time += relay_renew_after;
    mappings.tick();
    mappings.tick();
    ASSERT_THAT(gateway.asked, SizeIs(1));
    EXPECT_TRUE(gateway.asked[0].ask.only_suggested);
    gateway.give(Port{20004});
  }
  EXPECT_THAT(mappings.mappings_of(console), SizeIs(1));
}

TEST_F(RelayedMappingsTest, AfterALossTheSameNumbersAreAskedForAgain) {
  map(wish(console, 3074));
  map(wish(other, 80, Protocol::tcp));
  gateway.give(Port{20004});
  gateway.give(Port{20003});
  clock.time += 600s;
  mappings.offline();
  mappings.reported({}, outside);
  ASSERT_THAT(gateway.asked, SizeIs(2));
  // The map goes by protocol: TCP first.
  EXPECT_EQ(gateway.asked[0].ask.suggested_port, Port{20003});
  EXPECT_TRUE(gateway.asked[0].ask.only_suggested);
  EXPECT_EQ(gateway.asked[0].ask.lifetime, 3000s);
  gateway.give(Port{20003});
  gateway.refuse(refusal("port_taken", "taken"));
  EXPECT_THAT(mappings.mappings_of(other), SizeIs(1));
  EXPECT_THAT(mappings.mappings_of(console), IsEmpty());
  EXPECT_EQ(changes, 1);
}

TEST_F(RelayedMappingsTest, OneMachineCannotHaveItAll) {
  for (std::uint16_t i = 0; i < 100; ++i) {
    map(wish(console, static_cast<std::uint16_t>(1000 + i)));
    if (!gateway.asked.empty()) gateway.give(Port{static_cast<std::uint16_t>(20000 + i)});
  }
  EXPECT_THAT(mappings.mappings_of(console), SizeIs(relayed_per_machine_max));
  EXPECT_EQ(answers.back().error().code, "quota_exhausted");
  map(wish(other, 80));
  EXPECT_THAT(gateway.asked, SizeIs(1));
  std::set<Port> relays;
  for (const auto& [key, standing] : kernel.standing) relays.insert(key.second);
  EXPECT_THAT(relays, SizeIs(relayed_per_machine_max));
}

TEST_F(RelayedMappingsTest, AnswersThatComeAfterTheEndAreDropped) {
  std::optional<RelayedMappings> shortlived(std::in_place, gateway, kernel, clock, [](const Address&) { return true; });
  shortlived->reported({}, outside);
  shortlived->map(wish(console, 80), [](const Result<std::vector<Mapped>>&) { FAIL(); });
  shortlived.reset();
  gateway.give(Port{20000});
  EXPECT_THAT(kernel.standing, testing::IsEmpty());
}

}  // namespace
}  // namespace drpf::client
