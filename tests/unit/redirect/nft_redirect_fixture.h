// NftRedirect on a made-up kernel, and leases for it. What is expected of it is in the tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "made_up_kernel.h"
#include "redirect/nft_redirect.h"

namespace drpf::redirect {

using namespace std::chrono_literals;
using lease::Generation;
using lease::Redirection;
namespace names = firewall::set_names;

inline constexpr Time at_start{Duration(1000s)};
inline constexpr Duration purge_patience = 10s;

inline Redirection lease_on(std::uint16_t port, std::uint32_t generation, std::uint16_t device_port = 80, Duration left = 60s) {
  return {.generation = Generation{generation},
          .protocol = Protocol::tcp,
          .public_address = *parse_address("198.51.100.1"),
          .public_port = Port{port},
          .device_address = *parse_address("10.77.0.2"),
          .device_port = Port{device_port},
          .deadline = at_start + left};
}

inline Redirection v6_side(Redirection one) {
  one.public_address = *parse_address("2001:db8:51::1");
  one.device_address = *parse_address("fd77::2");
  return one;
}

inline firewall::GatewayRuleset ruleset() {
  firewall::GatewayRuleset out;
  out.public_interfaces = {"wan"};
  out.hosts = {{"main", *parse_address("198.51.100.1"), *parse_address("2001:db8:51::1")}};
  out.tunnel_v4 = *parse_prefix("10.77.0.0/16");
  out.tunnel_v6 = *parse_prefix("fd77::/64");
  return out;
}

inline NftRedirect::Options without(bool NftRedirect::Options::* one) {
  NftRedirect::Options out;
  out.*one = false;
  return out;
}

struct Kernel {
  bool destroys = true;
  bool renews_in_place = true;
};
inline constexpr Kernel kernels[] = {{true, true}, {true, false}, {false, true}, {false, false}};  // from the newest to the oldest

class NftRedirectTest : public testing::Test {
 protected:
  std::unique_ptr<MadeUpKernel> made = std::make_unique<MadeUpKernel>();
  MadeUpKernel* kernel = made.get();
  std::unique_ptr<NftRedirect> redirect;

  Status start(const std::vector<Redirection>& desired = {}, const NftRedirect::Options& options = NftRedirect::Options()) {
    if (!made) {
      redirect.reset();
      made = std::make_unique<MadeUpKernel>();
      kernel = made.get();
    }
    auto started = NftRedirect::start(std::move(made), ruleset(), desired, at_start, options);
    if (!started) return fail(started.error());
    redirect = std::move(*started);
    return {};
  }
  void start_on(const Kernel& older) {
    redirect.reset();
    made = std::make_unique<MadeUpKernel>();
    kernel = made.get();
    kernel->destroys = older.destroys;
    kernel->renews_in_place = older.renews_in_place;
    ASSERT_TRUE(start());
  }

  Status change(const std::vector<Redirection>& remove, const std::vector<Redirection>& install, const std::vector<Redirection>& renew) {
    lease::Transaction transaction;
    transaction.remove = remove;
    transaction.install = install;
    transaction.renew = renew;
    return redirect->carry_out(transaction, at_start);
  }
  Status install(const std::vector<Redirection>& list) { return change({}, list, {}); }
  Status remove(const std::vector<Redirection>& list) { return change(list, {}, {}); }
  Status renew(const std::vector<Redirection>& list) { return change({}, {}, list); }

  std::size_t count(const std::string& set) const { return kernel->sets[set].size(); }

  // The kernel holds what these leases are made of, and nothing else.
  void expect_in_kernel(const std::vector<Redirection>& leases) const {
    const auto wanted = desired_elements(leases, at_start);
    for (const char* set : lease_sets()) {
      std::vector<system::NftElement> present;
      for (const auto& [key, element] : kernel->sets[set]) present.push_back({key, element.data, element.timeout});
      // Those that are written one after the other have a little less time left.
      ASSERT_EQ(present.size(), wanted.at(set).size()) << set;
      for (std::size_t i = 0; i < present.size(); ++i) {
        EXPECT_EQ(present[i].key, wanted.at(set)[i].key) << set;
        EXPECT_EQ(present[i].data, wanted.at(set)[i].data) << set;
        EXPECT_LE(present[i].timeout, wanted.at(set)[i].timeout) << set;
        EXPECT_GT(present[i].timeout, wanted.at(set)[i].timeout / 2) << set;
      }
    }
  }
  void count_packets(std::uint64_t packets) const {
    for (const char* set : {names::inbound_v4, names::inbound_v6, names::outbound_v4, names::outbound_v6})
      for (auto& [key, element] : kernel->sets[set]) element.packets += packets;
  }
  std::uint64_t walks() const {
    EXPECT_TRUE(redirect->wait_for_purges(purge_patience));
    return redirect->purges().walks;
  }
};

}  // namespace drpf::redirect
