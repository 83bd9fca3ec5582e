// A change of the setup with a fault in each step, refused or done and yet called failed: afterwards everything goes by one setup.
#include "gateway/reconfiguration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "configuration/keys.h"
#include "support/fake_clock.h"
#include "support/fake_redirect.h"
#include "support/fake_way_in.h"
#include "support/memory_store.h"

namespace drpf::gateway {
namespace {

using namespace std::chrono_literals;
using configuration::FoundHost;
using configuration::Setup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// How a step on the host can go wrong.
enum class Fault { none, refused, done_and_called_failed };

class FakeHost final : public ReconfigurableHost {
 public:
  explicit FakeHost(Setup setup) : file(std::move(setup)), parameters(file), ruleset(file) {}

  Result<Setup> propose() override {
    if (file_is_bad) return fail(misconfigured("config_malformed", "the test's file is half written"));
    return file;
  }
  Result<std::vector<FoundHost>> find_hosts(const configuration::Configuration&) override {
    if (on_host.empty()) return fail(unavailable("default_route_missing", "the test's host has no address"));
    return on_host;
  }
  Status put_parameters(const Setup& setup) override { return put(parameters, setup, parameters_fault); }
  Status put_ruleset(const Setup& setup, std::span<const lease::Redirection>, Time) override { return put(ruleset, setup, ruleset_fault); }
  void adopted(const Setup&, const Setup&) override { ++adoptions; }

  Setup file;
  std::vector<FoundHost> on_host = file.hosts;
  Setup parameters, ruleset;  // that the host goes by
  bool file_is_bad = false;
  Fault parameters_fault = Fault::none, ruleset_fault = Fault::none;
  int faults = 1;  // how often they strike
  int adoptions = 0;

 private:
  Status put(Setup& place, const Setup& setup, Fault& fault) {
    const bool strikes = fault != Fault::none && faults > 0;
    if (!strikes || fault == Fault::done_and_called_failed) place = setup;
    if (!strikes) return {};
    --faults;
    return fail(failure("host_refused", "the test's host refuses"));
  }
};

class ReconfigurationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto book = load_book(store_, setup_.policy(), {"boot-1", clock_.now(), clock_.wall_now()}, OnLosses::refuse, *log_);
    ASSERT_TRUE(book);
    auto opened = Gateway::open(setup_.configuration, std::move(*book),
                                Parts{store_,
                                      redirect_,
                                      {&way_in_},
                                      clock_,
                                      log_,
                                      "boot-1",
                                      [] { return std::vector<api::Finding>{}; },
                                      [](const lease::Device&) { return Status{}; }});
    ASSERT_TRUE(opened);
    gateway_ = std::move(*opened);
    ASSERT_TRUE(gateway_->add_account("alice", {}));
    ASSERT_TRUE(gateway_->add_device("alice", "laptop", {}));
    gateway_->on_tunnel_event(way_in_,
                              tunnel::DeviceConnected{gateway_->book().device("laptop")->id, *parse_endpoint("203.0.113.9:40000")});
    ASSERT_EQ(gateway_->book().leases().size(), 10U);
    change_.emplace(Reconfiguration::Parts{*gateway_, host_, setup_, clock_, log_});
  }

  static configuration::Setup first_setup() {
    return {configuration::default_configuration(), {{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}}, {}};
  }
  // Ends every lease there is.
  void write_another_pool() {
    host_.file.configuration.pool = PortRange(Port{40000}, Port{40999});
    host_.file.configuration.snat = PortRange(Port{33000}, Port{39999});
    host_.file.configuration.ephemeral = PortRange(Port{41000}, Port{50000});
  }
  std::vector<lease::PublicPort> leased() const {
    std::vector<lease::PublicPort> ports;
    for (const auto* lease : gateway_->book().leases()) ports.push_back(lease->on);
    return ports;
  }
  void expect_everything_by(const configuration::Setup& setup) {
    EXPECT_EQ(configuration::changed_keys(host_.parameters.configuration, setup.configuration), std::vector<std::string>());
    EXPECT_EQ(host_.ruleset.policy(), setup.policy());
    EXPECT_EQ(gateway_->book().policy(), setup.policy());
    EXPECT_EQ(setup_.policy(), setup.policy());
    EXPECT_EQ(configuration::changed_keys(setup_.configuration, setup.configuration), std::vector<std::string>());
    EXPECT_EQ(redirect_.table.size(), gateway_->book().redirections().size());
    EXPECT_THAT(gateway_->status().warnings, IsEmpty());
  }

  tests::MemoryStore store_;
  tests::FakeRedirect redirect_;
  tests::FakeClock clock_;
  std::ostringstream said_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said_));
  tests::FakeWayIn::Words words_;
  tests::FakeWayIn way_in_{words_};
  configuration::Setup setup_ = first_setup();
  FakeHost host_{setup_};
  std::unique_ptr<Gateway> gateway_;
  std::optional<Reconfiguration> change_;
};

TEST_F(ReconfigurationTest, AChangeIsTakenUpByHostRuleSetAndLeases) {
  host_.file.configuration.pool = PortRange(Port{20000}, Port{31000});
  const auto before = leased();
  const auto changed = change_->reload({});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_THAT(*changed, ElementsAre("[ports] pool"));
  EXPECT_EQ(leased(), before);
  EXPECT_EQ(host_.adoptions, 1);
  expect_everything_by(host_.file);
}

TEST_F(ReconfigurationTest, AFileThatSaysTheSameChangesNothing) {
  const auto changed = change_->reload({});
  ASSERT_TRUE(changed);
  EXPECT_THAT(*changed, IsEmpty());
  expect_everything_by(first_setup());
}

TEST_F(ReconfigurationTest, AFaultInAnyStepLeavesEverythingAsItWas) {
  const auto before = leased();
  write_another_pool();
  struct Case {
    const char* name;
    Fault parameters, ruleset;
    bool store, file;
  };
  for (const auto& fault :
       {Case{"the file", Fault::none, Fault::none, false, true}, Case{"the parameters", Fault::refused, Fault::none, false, false},
        Case{"the parameters, which are there", Fault::done_and_called_failed, Fault::none, false, false},
        Case{"the rule set", Fault::none, Fault::refused, false, false},
        Case{"the rule set, which is there", Fault::none, Fault::done_and_called_failed, false, false},
        Case{"the store", Fault::none, Fault::none, true, false}}) {
    SCOPED_TRACE(fault.name);
    host_.faults = 1;
    host_.file_is_bad = fault.file;
    host_.parameters_fault = fault.parameters;
    host_.ruleset_fault = fault.ruleset;
    if (fault.store) store_.fail_next();
    EXPECT_FALSE(change_->reload({.end_leases = true}));
    EXPECT_EQ(leased(), before);
    EXPECT_EQ(host_.adoptions, 0);
    if (fault.store) gateway_->tick();
    if (fault.store) {
      ASSERT_TRUE(gateway_->add_account("store-works", {}));  // which also ends its warning
    }
    expect_everything_by(first_setup());
  }
  host_.file_is_bad = false;
  ASSERT_TRUE(change_->reload({.end_leases = true}));
  expect_everything_by(host_.file);
}

TEST_F(ReconfigurationTest, WhatCannotBeTakenBackIsSaidAndMended) {
  for (const auto how : {Fault::refused, Fault::done_and_called_failed}) {
    write_another_pool();
    host_.ruleset_fault = how;
    host_.faults = 3;  // at the change, when it is taken back, and once more
    EXPECT_FALSE(change_->reload({.end_leases = true}));
    EXPECT_THAT(gateway_->status().warnings, ElementsAre(HasSubstr("not by the configuration that holds yet: the rule set")));
    said_.str("");
    change_->mend();
    EXPECT_EQ(said_.str(), "") << "the same is said once";
    EXPECT_EQ(gateway_->status().warnings.size(), 1U);
    change_->mend();
    EXPECT_THAT(said_.str(), HasSubstr("everything goes by the configuration again"));
    expect_everything_by(first_setup());
  }
}

TEST_F(ReconfigurationTest, AChangeThatSucceedsNeedsNoMending) {
  write_another_pool();
  host_.ruleset_fault = Fault::done_and_called_failed;
  host_.faults = 2;
  EXPECT_FALSE(change_->reload({.end_leases = true}));
  ASSERT_TRUE(change_->reload({.end_leases = true}));
  expect_everything_by(host_.file);
  change_->mend();
  expect_everything_by(host_.file);
}

TEST_F(ReconfigurationTest, WhatTheKernelDoesNotTakeOfTheLeasesIsRepairedAndNotTakenBack) {
  write_another_pool();
  redirect_.refuse = true;
  const auto behind = change_->reload({.end_leases = true});
  ASSERT_FALSE(behind) << "what was ended may still pass";
  EXPECT_EQ(behind.error().code, "kernel_behind");
  EXPECT_THAT(said_.str(), HasSubstr("the new configuration holds"));
  EXPECT_EQ(gateway_->book().policy(), host_.file.policy());
  redirect_.refuse = false;
  clock_.time += 1s;
  gateway_->tick();
  expect_everything_by(host_.file);
}

TEST_F(ReconfigurationTest, WhatWouldEndLeasesIsRefusedUnlessItIsAskedForByName) {
  const auto before = leased();
  write_another_pool();
  const auto refused = change_->reload({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "change_ends_leases");
  EXPECT_EQ(leased(), before);
  expect_everything_by(first_setup());
  host_.file.configuration.changes_may_end_leases = true;
  ASSERT_TRUE(change_->reload({}));
  EXPECT_THAT(leased(), testing::Each(testing::Not(testing::AnyOfArray(before))));
  expect_everything_by(host_.file);
}

TEST_F(ReconfigurationTest, AKeyThatNeedsARestartIsRefusedByName) {
  host_.file.configuration.mtu = 1300;
  const auto refused = change_->reload({.end_leases = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "restart_needed");
  EXPECT_THAT(refused.error().message, HasSubstr("[tunnel] mtu"));
  EXPECT_THAT(refused.error().cure, HasSubstr("leases and keys stay"));
  host_.file.configuration = setup_.configuration;
  host_.file.configuration.tunnel_v4 = *parse_prefix("10.99.0.0/16");
  EXPECT_THAT(change_->reload({}).error().cure, HasSubstr("--end-leases"));
  expect_everything_by(first_setup());
}

TEST_F(ReconfigurationTest, AnAddressThatChangesIsFollowed) {
  host_.on_host[0].host.v4 = *parse_address("198.51.100.2");
  const auto before = leased();
  EXPECT_EQ(*change_->follow_hosts(), true);
  EXPECT_EQ(leased(), before);
  auto moved = first_setup();
  moved.hosts = host_.on_host;
  expect_everything_by(moved);
  EXPECT_EQ(redirect_.table.begin()->second.public_address, *parse_address("198.51.100.2"));
  EXPECT_EQ(*change_->follow_hosts(), false);
  EXPECT_EQ(host_.adoptions, 1);
}

TEST_F(ReconfigurationTest, AnAddressIsFollowedAlsoWhereKernelOrStoreRefuseFirst) {
  host_.on_host[0].host.v4 = *parse_address("198.51.100.2");
  auto moved = first_setup();
  moved.hosts = host_.on_host;
  for (const auto how : {Fault::refused, Fault::done_and_called_failed}) {
    host_.ruleset_fault = how;
    host_.faults = 1;
    EXPECT_FALSE(change_->follow_hosts());
    EXPECT_EQ(setup_.hosts, first_setup().hosts);
    change_->mend();
    EXPECT_EQ(host_.ruleset.hosts, first_setup().hosts) << "until it is followed, the rule set is the leases'";
  }
  ASSERT_TRUE(change_->follow_hosts());
  expect_everything_by(moved);
}

TEST_F(ReconfigurationTest, AnAddressThatIsLostIsWaitedForAndThenFollowed) {
  host_.on_host[0].host.v6 = *parse_address("2001:db8::1");
  ASSERT_EQ(*change_->follow_hosts(), true);
  host_.on_host[0].host.v6.reset();
  EXPECT_EQ(*change_->follow_hosts(), false);
  clock_.time += Reconfiguration::lost_address_grace - 1s;
  EXPECT_EQ(*change_->follow_hosts(), false);
  clock_.time += 1s;
  EXPECT_EQ(*change_->follow_hosts(), true);
  // One that came back in time begins anew.
  host_.on_host[0].host.v6 = *parse_address("2001:db8::1");
  ASSERT_EQ(*change_->follow_hosts(), true);
  host_.on_host[0].host.v6.reset();
  EXPECT_EQ(*change_->follow_hosts(), false);
  host_.on_host[0].host.v6 = *parse_address("2001:db8::1");
  EXPECT_EQ(*change_->follow_hosts(), false);
  clock_.time += Reconfiguration::lost_address_grace;
  host_.on_host[0].host.v6.reset();
  EXPECT_EQ(*change_->follow_hosts(), false);
}

TEST_F(ReconfigurationTest, AHostWithoutAnyAddressKeepsItsLeasesWhereTheyWere) {
  host_.on_host.clear();
  const auto before = leased();
  EXPECT_EQ(*change_->follow_hosts(), false);
  EXPECT_EQ(leased(), before);
  expect_everything_by(first_setup());
}

}  // namespace
}  // namespace drpf::gateway
