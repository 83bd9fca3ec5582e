#include "gateway/port_mappings.h"

#include "running_gateway.h"

namespace drpf::gateway {
namespace {

using protocol::port_mapping::Client;
using protocol::port_mapping::Ending;
using protocol::port_mapping::Mapped;
using protocol::port_mapping::Wish;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class PortMappingsTest : public RunningGateway {
 protected:
  void SetUp() override {
    hosts_ = {{{"main", *parse_address("198.51.100.1"), *parse_address("2001:db8::1")}, {"wan"}}};
    RunningGateway::SetUp();
    connect();
    mappings_ = std::make_unique<PortMappings>(*gateway_, log_);
    said_.str("");
  }
  Address inside() const { return gateway_->book().device(laptop_)->tunnel_v4; }
  Wish wish(std::uint16_t internal, Protocol protocol = Protocol::tcp) const {
    Wish wish;
    wish.client = inside();
    wish.protocol = protocol;
    wish.internal_port = Port{internal};
    wish.lifetime = 1h;
    return wish;
  }
  Result<std::vector<Mapped>> map(const Wish& wish) {
    Result<std::vector<Mapped>> answer = fail(failure("not_answered", "nobody has answered"));
    mappings_->map(wish, [&](auto mapped) { answer = std::move(mapped); });
    return answer;
  }
  Result<std::size_t> end(const Ending& ending) {
    Result<std::size_t> answer = fail(failure("not_answered", "nobody has answered"));
    mappings_->end(ending, [&](auto ended) { answer = std::move(ended); });
    return answer;
  }

  std::unique_ptr<PortMappings> mappings_;
};

TEST_F(PortMappingsTest, WhoAsksIsKnownByItsAddress) {
  const auto& device = *gateway_->book().device(laptop_);
  const auto client = mappings_->client(inside());
  ASSERT_TRUE(client);
  EXPECT_EQ(client->external_v4, parse_address("198.51.100.1").value());
  EXPECT_EQ(client->external_v6, parse_address("2001:db8::1").value());
  EXPECT_EQ(client->inside_v4, device.tunnel_v4);
  EXPECT_EQ(client->inside_v6, device.tunnel_v6);
  EXPECT_FALSE(mappings_->client(*parse_address("10.77.200.200")));
}

TEST_F(PortMappingsTest, AStrangerGetsNothing) {
  auto strange = wish(8080);
  strange.client = *parse_address("10.77.200.200");
  EXPECT_EQ(map(strange).error().code, "device_unknown");
  Ending ending;
  ending.client = strange.client;
  EXPECT_EQ(end(ending).error().code, "device_unknown");
  EXPECT_THAT(mappings_->mappings_of(strange.client), IsEmpty());
}

TEST_F(PortMappingsTest, TheAnswerSaysWhatWasAskedForAndWhatWasGiven) {
  auto asked = wish(8080, Protocol::udp);
  asked.door = lease::Door::pcp;
  asked.nonce = {1, 2, 3};
  asked.description = "a game";
  const auto given = map(asked);
  ASSERT_TRUE(given) << given.error().message;
  ASSERT_THAT(*given, SizeIs(1));
  const auto& one = given->front();
  EXPECT_EQ(one.protocol, Protocol::udp);
  EXPECT_EQ(one.internal_port, Port{8080});
  EXPECT_EQ(one.local_port, Port{8080});
  EXPECT_EQ(one.lifetime, 1h);
  EXPECT_EQ(one.door, lease::Door::pcp);
  EXPECT_EQ(one.nonce, asked.nonce);
  EXPECT_EQ(one.description, "a game");
  EXPECT_EQ(one.external_v4, parse_address("198.51.100.1").value());
  EXPECT_EQ(one.external_v6, parse_address("2001:db8::1").value());
  const auto led = std::count_if(redirect_.table.begin(), redirect_.table.end(), [&](const auto& element) {
    return element.second.public_port == one.external_port && element.second.protocol == Protocol::udp &&
           element.second.device_port == Port{8080};
  });
  EXPECT_EQ(led, 2) << "carried out on both addresses";
}

TEST_F(PortMappingsTest, EachWishOfAProgramReachesTheBook) {
  const auto held = gateway_->book().leases_of(laptop_).front()->on.port;
  auto suggested = wish(9000);
  suggested.suggested_port = held;
  EXPECT_EQ(map(suggested)->front().external_port, held);
  suggested.internal_port = Port{9001};
  suggested.only_suggested = true;
  EXPECT_EQ(map(suggested).error().code, "port_taken");
  auto public_number = wish(9002);
  public_number.to_public_number = true;
  const auto led = map(public_number);
  EXPECT_EQ(led->front().local_port, led->front().external_port);
  auto two = wish(9010);
  two.count = 2;
  EXPECT_THAT(map(two).value(), SizeIs(2));
  auto staying = wish(9020, Protocol::udp);
  staying.while_connected = true;
  const auto port = map(staying)->front().external_port;
  wait(2h);
  const auto all = mappings_->mappings_of(inside());
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.external_port == port; }), 1)
      << "no deadline of its own";
}

TEST_F(PortMappingsTest, MappingsAreListedByTheirPublicPorts) {
  for (const auto internal : {9003, 9001, 9002}) {
    ASSERT_TRUE(map(wish(static_cast<std::uint16_t>(internal), Protocol::udp)));
    ASSERT_TRUE(map(wish(static_cast<std::uint16_t>(internal), Protocol::tcp)));
  }
  const auto all = mappings_->mappings_of(inside());
  ASSERT_THAT(all, SizeIs(6));
  for (std::size_t i = 1; i < all.size(); ++i)
    EXPECT_LT(std::pair(all[i - 1].external_port, all[i - 1].protocol), std::pair(all[i].external_port, all[i].protocol));
}

TEST_F(PortMappingsTest, WhatIsLeftOfALifetimeIsRoundedAndNeverNegative) {
  ASSERT_TRUE(map(wish(9000)));
  clock_.time += 10s + 400ms;
  EXPECT_EQ(mappings_->mappings_of(inside()).front().lifetime, Duration(1h) - 10s);
  clock_.time += 2h;
  const auto over = mappings_->mappings_of(inside());
  if (!over.empty()) {
    EXPECT_EQ(over.front().lifetime, 0s);
  }
}

TEST_F(PortMappingsTest, OnlyWhatIsNamedEnds) {
  ASSERT_TRUE(map(wish(9000, Protocol::tcp)));
  ASSERT_TRUE(map(wish(9000, Protocol::udp)));
  auto pcp = wish(9001);
  pcp.door = lease::Door::pcp;
  pcp.nonce = {7};
  const auto port = map(pcp)->front().external_port;
  Ending ending;
  ending.client = inside();
  ending.internal_port = Port{9000};
  ending.protocol = Protocol::udp;
  EXPECT_EQ(end(ending).value(), 1U);
  EXPECT_EQ(end(ending).value(), 0U) << "none is no error";
  Ending foreign;
  foreign.client = inside();
  foreign.internal_port = Port{9001};
  foreign.protocol = Protocol::tcp;
  foreign.nonce = lease::Nonce{8};
  EXPECT_EQ(end(foreign).error().code, "nonce_mismatch");
  Ending by_door;
  by_door.client = inside();
  by_door.door = lease::Door::upnp;
  EXPECT_EQ(end(by_door).value(), 0U);
  Ending by_port;
  by_port.client = inside();
  by_port.external_ports = PortRange(port);
  EXPECT_EQ(end(by_port).value(), 1U);
  Ending all;
  all.client = inside();
  EXPECT_EQ(end(all).value(), 1U);
  EXPECT_THAT(mappings_->mappings_of(inside()), IsEmpty());
}

TEST_F(PortMappingsTest, WhatComesTogetherIsCommittedTogetherAndRefusedTogether) {
  std::vector<std::string> answers;
  const auto answer = [&](const auto& mapped) { answers.push_back(mapped ? "given" : mapped.error().code); };
  mappings_->together([&] {
    mappings_->map(wish(9000), answer);
    mappings_->map(wish(9001), answer);
    EXPECT_THAT(answers, IsEmpty()) << "nobody is told before it is committed";
  });
  EXPECT_THAT(answers, ElementsAre("given", "given"));
  answers.clear();
  store_.fail_next();
  mappings_->together([&] {
    mappings_->map(wish(9002), answer);
    Ending ending;
    ending.client = inside();
    mappings_->end(ending, answer);
  });
  EXPECT_THAT(answers, SizeIs(2));
  EXPECT_THAT(answers, testing::Each(testing::Ne("given")));
  EXPECT_THAT(mappings_->mappings_of(inside()), SizeIs(2)) << "the book is again what the store has";
  EXPECT_TRUE(gateway_->is_book_committed());
  EXPECT_TRUE(map(wish(9003))) << "and one that comes alone is answered at once";
}

TEST_F(PortMappingsTest, WhileItIsNotKnownWhatWasCommittedNothingIsDecided) {
  ASSERT_TRUE(map(wish(9000)));
  store_.fail_next();
  store_.refuse_loads(true);
  EXPECT_FALSE(map(wish(9001)));
  EXPECT_FALSE(gateway_->is_book_committed());
  EXPECT_EQ(map(wish(9002)).error().code, "book_unknown");
  Ending ending;
  ending.client = inside();
  EXPECT_EQ(end(ending).error().code, "book_unknown");
  EXPECT_FALSE(gateway_->add_account("ben", {}));
  EXPECT_FALSE(gateway_->reconcile());
  const auto before = redirect_.table;
  redirect_.table.clear();
  wait(5s);
  EXPECT_THAT(redirect_.table, IsEmpty()) << "nor repaired";
  EXPECT_FALSE(gateway_->status().warnings.empty());
  store_.refuse_loads(false);
  wait(1s);
  EXPECT_TRUE(gateway_->is_book_committed());
  EXPECT_EQ(redirect_.table.size(), before.size()) << "the kernel is compared with what is known again";
  EXPECT_THAT(mappings_->mappings_of(inside()), SizeIs(1));
  EXPECT_EQ(history_.resumed, 2);
  EXPECT_TRUE(map(wish(9001)));
}

TEST_F(PortMappingsTest, RefusalsOfADeviceAreLoggedNowAndThen) {
  ASSERT_TRUE(gateway_->disconnect_device(laptop_));
  said_.str("");
  EXPECT_FALSE(map(wish(9000)));
  EXPECT_FALSE(map(wish(9000)));
  clock_.time += 9s;
  EXPECT_FALSE(map(wish(9000)));
  EXPECT_EQ(said("from device laptop refused"), 1U);
  clock_.time += 1s;
  EXPECT_FALSE(map(wish(9000)));
  EXPECT_EQ(said("from device laptop refused"), 1U);
}

TEST_F(PortMappingsTest, TheEpochCountsFromWhenMappingsWereLost) {
  const auto before = mappings_->epoch_s();
  clock_.time += 30s;
  EXPECT_EQ(mappings_->epoch_s(), before + 30);
}

TEST_F(PortMappingsTest, ChangesThatTheApiAsksForAreCarriedOut) {
  lease::MappingRequest request;
  request.device = laptop_;
  request.internal_port = Port{9000};
  request.lifetime = 1h;
  request.door = lease::Door::api;
  const auto mapped = gateway_->map(request);
  ASSERT_TRUE(mapped) << mapped.error().message;
  EXPECT_THAT(mappings_->mappings_of(inside()), SizeIs(1));
  lease::MappingEnd ending;
  ending.device = laptop_;
  const auto ended = gateway_->end_mappings(ending);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->value, 1U);
  EXPECT_THAT(mappings_->mappings_of(inside()), IsEmpty());
}

}  // namespace
}  // namespace drpf::gateway
