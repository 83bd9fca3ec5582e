#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nft_redirect_fixture.h"
#include "system/boot_clock.h"

namespace drpf::redirect {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST_F(NftRedirectTest, NothingIsForwardedBeforeTheRulesAndTheLeasesStand) {
  ASSERT_TRUE(start({lease_on(20000, 5)}));
  EXPECT_EQ(kernel->done.front(), "dead man");
  EXPECT_EQ(kernel->done[1], "structure");
  EXPECT_EQ(kernel->done.back(), "forwarding");
  EXPECT_THAT(kernel->forwarding, ElementsAre(ElementsAre("wan")));
  EXPECT_TRUE(kernel->forwarding_v6);
  expect_in_kernel({lease_on(20000, 5)});
}

TEST_F(NftRedirectTest, ForwardingIsLeftToWhomeverItBelongs) {
  ASSERT_TRUE(start({}, without(&NftRedirect::Options::manage_forwarding)));
  EXPECT_TRUE(redirect->change_ruleset(ruleset(), {}, at_start));
  EXPECT_THAT(kernel->forwarding, IsEmpty());
}

TEST_F(NftRedirectTest, TheWholeRuleSetIsAskedFor) {
  ASSERT_TRUE(start());
  ASSERT_THAT(kernel->structures, SizeIs(1));
  EXPECT_EQ(kernel->structures[0].text, firewall::nft_text(ruleset()).value());
  ASSERT_TRUE(kernel->structures[0].parts);
  EXPECT_EQ(kernel->structures[0].parts->chains, firewall::chain_names());
  EXPECT_EQ(kernel->structures[0].parts->rules, firewall::rules(ruleset()).size());
  auto less = ruleset();
  less.without = {firewall::rules(less).front().name};
  ASSERT_TRUE(redirect->change_ruleset(less, {}, at_start));
  EXPECT_EQ(kernel->structures.back().parts->rules, firewall::rules(less).size() - 1);
}

TEST_F(NftRedirectTest, AStartWithoutARuleSetForwardsNothing) {
  kernel->refused_structures = 1;
  const auto started = start({lease_on(20000, 5)});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, "nft_failed");
}

TEST(RemoveEverything, LeavesNothingOfAGatewayAndAllOfOthers) {
  MadeUpKernel kernel;
  kernel.structure = "a table";
  kernel.sets[names::live][system::NftData().mark(5)] = {{}, 1s, 0};
  kernel.routing = ruleset::DeadMan({"drpf0"}, ruleset().tunnel_v4, {}).rules();
  kernel.connect(5, "203.0.113.7", "10.77.0.2");
  kernel.connect(0, "fd77::2", "2001:db8:9::1");
  kernel.connect(6, "203.0.113.7", "192.0.2.1");
  ASSERT_TRUE(NftRedirect::remove_everything(kernel, ruleset()));
  EXPECT_EQ(kernel.structure, "");
  EXPECT_THAT(kernel.sets, IsEmpty());
  EXPECT_THAT(kernel.routing, IsEmpty());
  EXPECT_THAT(kernel.marks_of_connections(), ElementsAre(6));
  EXPECT_FALSE(kernel.without_rules) << "they could have been made again meanwhile";
  EXPECT_TRUE(NftRedirect::remove_everything(kernel, ruleset())) << "twice is the same as once";
}

TEST(RemoveEverything, IsRefusedWhileAGatewayRuns) {
  MadeUpKernel kernel;
  kernel.structure = "a table";
  kernel.another_gateway_runs = true;
  kernel.connect(5, "203.0.113.7", "10.77.0.2");
  EXPECT_EQ(NftRedirect::remove_everything(kernel, ruleset()).error().code, "gateway_running");
  EXPECT_THAT(kernel.marks_of_connections(), ElementsAre(5));
  EXPECT_EQ(kernel.structure, "a table");
  kernel.another_gateway_runs = false;
  kernel.connections_stay = true;
  EXPECT_FALSE(NftRedirect::remove_everything(kernel, ruleset()));
  EXPECT_EQ(kernel.structure, "a table") << "the rules go last";
}

TEST(LeaseKernel, OfThisHostIsOpenedWithoutChangingIt) {
  const auto kernel = open_lease_kernel("drpf_unit_test", 1s, true);
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_FALSE((*kernel)->owned());
  EXPECT_EQ((*kernel)->as_put(), "");
  EXPECT_EQ((*kernel)->foreign_changes(), 0U);
  EXPECT_GT((*kernel)->batch_bytes_max(), 0U);
}

TEST_F(NftRedirectTest, TheTableOfARunningGatewayIsLeftAlone) {
  kernel->another_gateway_runs = true;
  const auto started = start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, "gateway_running");
  EXPECT_NE(started.error().cure, "");
}

TEST_F(NftRedirectTest, NothingIsLeftOfTryingTheKernelOut) {
  for (const auto& older : kernels) {
    start_on(older);
    EXPECT_EQ(count(names::endpoints_v4), 0U);
  }
}

TEST_F(NftRedirectTest, AStartTakesUpWhatAPredecessorLeft) {
  const std::vector stale{lease_on(20009, 9)};
  for (const auto& [set, elements] : desired_elements(stale, at_start))
    for (const auto& element : elements) kernel->sets[set][element.key] = {element.data, element.timeout};
  kernel->connect(9, "203.0.113.7", "10.77.0.2");
  kernel->connect(5, "203.0.113.7", "10.77.0.2");
  kernel->connect(77, "203.0.113.7", "192.0.2.1");
  ASSERT_TRUE(start({lease_on(20000, 5)}));
  expect_in_kernel({lease_on(20000, 5)});
  EXPECT_THAT(kernel->marks_of_connections(), ElementsAre(5, 77)) << "of the lease that is over none is left; others' marks are not ours";
}

Admission device_at(const char* endpoint, std::string interface) {
  return {{*parse_address(endpoint), Port{51820}}, {*parse_address("10.77.0.2"), *parse_address("fd77::2")}, std::move(interface)};
}

TEST_F(NftRedirectTest, ADeviceIsAdmittedWithItsOuterAddressAndByItsTunnel) {
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
    ASSERT_TRUE(redirect->admit(device_at("2001:db8:9::7:1", "drpf0"), 300s));
    const auto v4 = system::NftData().address(*parse_address("203.0.113.9"));
    const auto network = system::NftData().address(*parse_address("2001:db8:9::"));
    EXPECT_EQ(kernel->sets[names::endpoints_v4].at(v4).timeout, 300s);
    EXPECT_EQ(kernel->sets[names::endpoints_v6].at(network).timeout, 300s) << "a host changes its address inside its /64";
    EXPECT_EQ(kernel->sets[names::paths_v4].at(system::NftData().address(*parse_address("203.0.113.9")).port(Port{51820})).timeout, 300s);
    EXPECT_EQ(kernel->sets[names::paths_v6].at(system::NftData().address(*parse_address("2001:db8:9::7:1")).port(Port{51820})).timeout,
              300s);
    EXPECT_EQ(kernel->sets[names::here_v4].at(system::NftData().address(*parse_address("10.77.0.2")).interface("drpf0")).timeout, 300s);
    EXPECT_EQ(kernel->sets[names::here_v6].at(system::NftData().address(*parse_address("fd77::2")).interface("drpf0")).timeout, 300s);
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 600s));
    EXPECT_EQ(kernel->sets[names::endpoints_v4].at(v4).timeout, 600s) << "again, for longer";
    EXPECT_EQ(count(names::here_v4), 1U);
  }
}

TEST_F(NftRedirectTest, TheAccountOfADeviceIsKnownWhileItIsHere) {
  for (const auto& older : kernels) {
    start_on(older);
    auto device = device_at("203.0.113.9", "drpf0");
    device.account = 7;
    for (int again = 0; again < 2; ++again) {
      ASSERT_TRUE(redirect->admit(device, 300s));
      const auto& owner = kernel->sets[names::owner_v4].at(system::NftData().address(*parse_address("10.77.0.2")));
      EXPECT_EQ(owner.data, system::NftData().mark(7));
      EXPECT_EQ(owner.timeout, 300s);
    }
    EXPECT_EQ(count(names::owner_v6), 1U);
    kernel->sets[names::owner_v4].clear();
    ASSERT_TRUE(redirect->admit(device, 300s)) << "it ran out meanwhile";
    EXPECT_EQ(count(names::owner_v4), 1U);
  }
}

TEST_F(NftRedirectTest, WhereADeviceWasVisitorsAreVisitorsAgain) {
  const auto other = Admission{{*parse_address("203.0.113.9"), Port{40000}}, {*parse_address("10.77.0.3")}, "drpf0"};
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.10", "drpf0"), 300s));
    EXPECT_EQ(count(names::endpoints_v4), 1U);
    EXPECT_EQ(count(names::paths_v4), 1U);
    EXPECT_TRUE(kernel->sets[names::endpoints_v4].contains(system::NftData().address(*parse_address("203.0.113.10"))));
    ASSERT_TRUE(redirect->admit(device_at("2001:db8:9::7:1", "drpf0"), 300s));
    ASSERT_TRUE(redirect->admit(device_at("2001:db8:9::7:2", "drpf0"), 300s));
    EXPECT_EQ(count(names::endpoints_v4), 1U) << "in the other family it may still be seen";
    EXPECT_EQ(count(names::endpoints_v6), 1U) << "the same network";
    EXPECT_EQ(count(names::paths_v6), 1U);
    // A whole /48, one network after the other.
    for (int i = 1; i < 100; ++i)
      ASSERT_TRUE(redirect->admit(device_at(("2001:db8:9:" + std::to_string(i) + "::1").c_str(), "drpf0"), 300s));
    EXPECT_EQ(count(names::endpoints_v6), 1U);
    // Two in one home: the second one stays there.
    ASSERT_TRUE(redirect->admit(other, 300s));
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.77", "drpf0"), 300s));
    EXPECT_TRUE(kernel->sets[names::endpoints_v4].contains(system::NftData().address(*parse_address("203.0.113.9"))));
    EXPECT_EQ(count(names::endpoints_v4), 2U);
    // Also when it ran out meanwhile.
    kernel->sets[names::endpoints_v4].clear();
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.78", "drpf0"), 300s));
    EXPECT_EQ(count(names::endpoints_v4), 1U);
  }
}

TEST_F(NftRedirectTest, DevicesWhoseShareIsUsedUpAreTold) {
  ASSERT_TRUE(start());
  using enum NftRedirect::Refused;
  EXPECT_THAT(*redirect->over_their_share(visitors), testing::IsEmpty());
  for (const auto* address : {"10.77.0.2", "fd77::2"}) {
    const auto outer = *parse_address(address);
    kernel->sets[outer.is_v4() ? names::full_v4 : names::full_v6][system::NftData().address(outer)] = {};
  }
  EXPECT_THAT(*redirect->over_their_share(visitors), ElementsAre(*parse_address("10.77.0.2"), *parse_address("fd77::2")));
  EXPECT_THAT(*redirect->over_their_share(own), testing::IsEmpty());
  kernel->sets[names::spent_v4][system::NftData().address(*parse_address("10.77.0.3"))] = {};
  EXPECT_THAT(*redirect->over_their_share(own), ElementsAre(*parse_address("10.77.0.3")));
  kernel->refuses_dumps = true;
  EXPECT_FALSE(redirect->over_their_share(visitors));
}

TEST_F(NftRedirectTest, ADeviceIsHereByOneTunnelOnly) {
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf1"), 300s));
    ASSERT_EQ(count(names::here_v4), 1U);
    EXPECT_EQ(kernel->sets[names::here_v4].begin()->first, system::NftData().address(*parse_address("10.77.0.2")).interface("drpf1"));
    EXPECT_EQ(count(names::here_v6), 1U);
  }
}

TEST_F(NftRedirectTest, ADeviceIsAdmittedAlsoWhenWhatWasKnownOfItRanOut) {
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
    for (const char* set : {names::endpoints_v4, names::here_v4}) kernel->sets[set].clear();
    ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf1"), 300s));
    EXPECT_EQ(count(names::endpoints_v4), 1U);
    EXPECT_EQ(count(names::here_v4), 1U);
    EXPECT_EQ(count(names::here_v6), 1U);
  }
}

TEST_F(NftRedirectTest, AnAdmissionThatTheKernelRefusesIsAnError) {
  ASSERT_TRUE(start());
  kernel->refused_changes = 1;
  EXPECT_FALSE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
  EXPECT_EQ(count(names::endpoints_v4), 0U);
}

TEST_F(NftRedirectTest, ADeviceThatCameByAPredecessorsTunnelIsNotValidThereAnyMore) {
  kernel->sets[names::here_v4][system::NftData().address(*parse_address("10.77.0.2")).interface("drpf1")] = {{}, 300s, 0};
  kernel->sets[names::here_v6][system::NftData().address(*parse_address("fd77::2")).interface("drpf1")] = {{}, 300s, 0};
  ASSERT_TRUE(start());
  EXPECT_EQ(count(names::here_v4), 1U) << "until then it is";
  ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
  ASSERT_EQ(count(names::here_v4), 1U);
  EXPECT_EQ(kernel->sets[names::here_v4].begin()->first, system::NftData().address(*parse_address("10.77.0.2")).interface("drpf0"));
  EXPECT_EQ(count(names::here_v6), 1U);
}

TEST_F(NftRedirectTest, ALostTableIsPutBackWithLeasesAndAdmissions) {
  const std::vector desired{lease_on(20000, 5)};
  ASSERT_TRUE(start(desired));
  ASSERT_TRUE(redirect->admit(device_at("203.0.113.9", "drpf0"), 300s));
  ASSERT_TRUE(redirect->admit({{*parse_address("203.0.113.10"), {}}, {}, "drpf0"}, 1ms));
  const system::SystemClock clock;
  for (const auto over = clock.now() + 1ms; clock.now() <= over;) {}
  kernel->structure.clear();
  kernel->sets.clear();
  kernel->routing.clear();
  EXPECT_EQ(redirect->restore(desired, at_start).value(), 5U);
  expect_in_kernel(desired);
  EXPECT_EQ(kernel->structure, firewall::nft_text(ruleset()).value());
  EXPECT_THAT(kernel->routing, Not(IsEmpty()));
  ASSERT_EQ(count(names::endpoints_v4), 1U) << "not the one that is over";
  EXPECT_LE(kernel->sets[names::endpoints_v4].begin()->second.timeout, 300s);
  EXPECT_GT(kernel->sets[names::endpoints_v4].begin()->second.timeout, 200s);
  EXPECT_EQ(count(names::here_v4), 1U);
  EXPECT_EQ(count(names::here_v6), 1U);
}

TEST_F(NftRedirectTest, TellsWhatOthersHaveDone) {
  using Seen = ruleset::Keeper::Seen;
  using Drift = NftRedirect::Drift;
  ASSERT_TRUE(start());
  EXPECT_EQ(redirect->inspect().value(), Drift::none);
  kernel->seen = Seen::altered;
  EXPECT_EQ(redirect->inspect().value(), Drift::structure);
  kernel->seen = Seen::others_change;
  EXPECT_EQ(redirect->inspect().value(), Drift::none) << "nobody else can have written into an owned table";
  kernel->owns = false;
  kernel->seen = Seen::others_change;
  EXPECT_EQ(redirect->inspect().value(), Drift::elements);
}

TEST_F(NftRedirectTest, PutsMissingRoutingRulesBackAndCountsThem) {
  ASSERT_TRUE(start());
  const auto whole = kernel->routing;
  kernel->routing.erase(kernel->routing.begin(), kernel->routing.begin() + 2);
  ASSERT_TRUE(redirect->inspect());
  kernel->routing.pop_back();
  ASSERT_TRUE(redirect->inspect());
  EXPECT_EQ(kernel->routing.size(), whole.size());
  EXPECT_EQ(redirect->take_routing_rules_repaired(), 3U);
  EXPECT_EQ(redirect->take_routing_rules_repaired(), 0U);
}

TEST_F(NftRedirectTest, ShowsWhatStandsOfALease) {
  ASSERT_TRUE(start({lease_on(20000, 5)}));
  kernel->sets[names::inbound_v4].begin()->second.packets = 7;
  auto seen = redirect->look_at(lease_on(20000, 5)).value();
  EXPECT_TRUE(seen.structure);
  EXPECT_TRUE(seen.elements);
  EXPECT_EQ(seen.visits, 7U);
  kernel->structure += "\n";
  EXPECT_FALSE(redirect->look_at(lease_on(20000, 5))->structure);
  EXPECT_TRUE(redirect->look_at(lease_on(20000, 5))->elements);
  EXPECT_FALSE(redirect->look_at(lease_on(20000, 6))->elements) << "the port is another lease's";
  EXPECT_FALSE(redirect->look_at(lease_on(20001, 5))->elements);
  kernel->sets[names::live].clear();
  seen = redirect->look_at(lease_on(20000, 5)).value();
  EXPECT_FALSE(seen.elements) << "it may not pass";
  EXPECT_EQ(seen.visits, 7U);
  kernel->structure.clear();
  seen = redirect->look_at(lease_on(20000, 5)).value();
  EXPECT_FALSE(seen.structure || seen.elements);
  EXPECT_EQ(seen.visits, 0U);
}

TEST_F(NftRedirectTest, AnotherRuleSetKeepsTheLeases) {
  const std::vector desired{lease_on(20000, 5)};
  ASSERT_TRUE(start(desired));
  auto other = ruleset();
  other.public_interfaces = {"wan2"};
  other.tunnel_v6.reset();
  other.tunnel_v4 = *parse_prefix("10.78.0.0/16");
  ASSERT_TRUE(redirect->change_ruleset(other, desired, at_start));
  EXPECT_EQ(kernel->structure, firewall::nft_text(other).value());
  expect_in_kernel(desired);
  EXPECT_EQ(kernel->routing, ruleset::DeadMan(other.tunnel_interfaces, other.tunnel_v4, {}).rules())
      << "those of the former tunnel are gone";
  EXPECT_THAT(kernel->forwarding.back(), ElementsAre("wan2"));
  EXPECT_FALSE(kernel->forwarding_v6);
}

TEST_F(NftRedirectTest, WhatComesAfterASlowRuleSetEndsAtItsDeadlineAllTheSame) {
  made->structure_takes = 80ms;
  ASSERT_TRUE(start({lease_on(20000, 5)}));
  const auto longest = [this] {
    std::chrono::milliseconds most{};
    for (const auto& [key, element] : kernel->sets[names::live]) most = std::max(most, element.timeout);
    return most;
  };
  EXPECT_LE(longest(), 60s - 80ms);
  ASSERT_TRUE(redirect->change_ruleset(ruleset(), std::vector{lease_on(20001, 6)}, at_start));
  EXPECT_LE(longest(), 60s - 80ms);
  kernel->refused_structures = 1;  // and then the former one is put back, after twice the time
  ASSERT_FALSE(redirect->change_ruleset(ruleset(), std::vector{lease_on(20002, 7)}, at_start));
  EXPECT_LE(longest(), 60s - 160ms);
}

TEST_F(NftRedirectTest, ARuleSetThatIsRefusedLeavesTheFormerOne) {
  const std::vector desired{lease_on(20000, 5)};
  ASSERT_TRUE(start(desired));
  auto other = ruleset();
  other.public_interfaces = {"wan2"};
  kernel->refused_structures = 1;
  const auto refused = redirect->change_ruleset(other, desired, at_start);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "nft_failed");
  EXPECT_EQ(kernel->structure, firewall::nft_text(ruleset()).value());
  EXPECT_THAT(kernel->forwarding, SizeIs(1)) << "not for the new interface";
  ASSERT_TRUE(redirect->restore(desired, at_start));
  EXPECT_EQ(kernel->structure, firewall::nft_text(ruleset()).value());

  other.table = "another";
  EXPECT_EQ(redirect->change_ruleset(other, desired, at_start).error().code, "ruleset_invalid");
  other = ruleset();
  other.public_interfaces = {"a\"b"};
  EXPECT_FALSE(redirect->change_ruleset(other, desired, at_start));
  EXPECT_EQ(kernel->structure, firewall::nft_text(ruleset()).value());
}

}  // namespace
}  // namespace drpf::redirect
