// Leases in the kernel: install, renew, revoke and restore, in a network namespace that it makes itself. Prints one JSON object a line;
// run it as root.
//   redirect_bench [LEASES]                             (default 50000)
#include <fmt/format.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "redirect/nft_redirect.h"
#include "system/boot_clock.h"
#include "system/namespaces.h"

namespace {

using namespace drpf;
using namespace std::chrono_literals;
using redirect::NftRedirect;

constexpr std::uint32_t addresses = 4;
constexpr int single_rounds = 500;
constexpr int purge_rounds = 40;

Time now() { return system::SystemClock().now(); }
double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class Action>
Duration timed(Action action) {
  const auto begin = now();
  action();
  return now() - begin;
}

void print(const std::string& what, std::size_t count, std::vector<Duration> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return milliseconds(times[std::min(times.size() - 1, static_cast<std::size_t>(part * static_cast<double>(times.size())))]);
  };
  if (times.size() == 1)
    fmt::print("{{\"what\": \"{}\", \"count\": {}, \"ms\": {:.3f}}}\n", what, count, at(0));
  else
    fmt::print("{{\"what\": \"{}\", \"count\": {}, \"rounds\": {}, \"p50_ms\": {:.3f}, \"p99_ms\": {:.3f}}}\n", what, count, times.size(),
               at(0.5), at(0.99));
  std::fflush(stdout);
}

lease::Redirection redirection(std::uint32_t number, std::uint32_t generation) {
  return {.generation = lease::Generation{generation},
          .protocol = number % 2 == 0 ? Protocol::tcp : Protocol::udp,
          .public_address = Address::v4(0xc6336401 + number / 2 % addresses),
          .public_port = Port{static_cast<std::uint16_t>(10000 + number / 2 / addresses)},
          .device_address = Address::v4(0x0a4d0002 + number / 10),
          .device_port = Port{static_cast<std::uint16_t>(10000 + number % 10)},
          .deadline = now() + 1h};
}

// Entries as the kernel makes them for visits, without the traffic.
void fill_conntrack(std::uint32_t first, std::uint32_t count, std::uint32_t mark) {
  auto socket = must(system::NetlinkSocket::open(NETLINK_NETFILTER));
  for (std::uint32_t i = first; i < first + count; ++i) {
    system::NetlinkWriter message;
    message.message(1 << 8 | IPCTNL_MSG_CT_NEW, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK, socket.next_sequence()).header(Bytes{2, 0, 0, 0});
    const auto visitor = Address::v4(0x0b000000 + i);
    const auto put_tuple = [&](std::uint16_t type, const Address& from, const Address& to) {
      const auto tuple = message.open(type);
      const auto ip = message.open(CTA_TUPLE_IP);
      message.attribute(CTA_IP_V4_SRC, from.bytes()).attribute(CTA_IP_V4_DST, to.bytes()).close(ip);
      const auto proto = message.open(CTA_TUPLE_PROTO);
      message.u8(CTA_PROTO_NUM, 17)
          .u16_big_endian(CTA_PROTO_SRC_PORT, 4000)
          .u16_big_endian(CTA_PROTO_DST_PORT, 4000)
          .close(proto)
          .close(tuple);
    };
    put_tuple(CTA_TUPLE_ORIG, visitor, Address::v4(0xc6336401));
    put_tuple(CTA_TUPLE_REPLY, Address::v4(0xc6336401), visitor);
    message.u32_big_endian(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY).u32_big_endian(CTA_TIMEOUT, 3600).u32_big_endian(CTA_MARK, mark);
    must(socket.request(message, "make a connection entry"));
  }
}

firewall::GatewayRuleset ruleset() {
  firewall::GatewayRuleset out;
  out.public_interfaces = {"wan"};
  lease::PublicHost host{"main", Address::v4(0xc6336401), {}};
  for (std::uint32_t i = 0; i < addresses; ++i) {
    host.v4 = Address::v4(0xc6336401 + i);
    out.hosts.push_back(host);
  }
  out.tunnel_v4 = Prefix(Address::v4(0x0a4d0000), 16);
  return out;
}

void whole_books(std::uint32_t leases) {
  lease::Transaction all;
  for (std::uint32_t i = 0; i < leases; ++i) all.install.push_back(redirection(i, i + 1));
  auto kernel = must(NftRedirect::start(ruleset(), {}, now()));
  fmt::print("{{\"what\": \"changes in one kernel transaction\", \"count\": {}}}\n", kernel->atomic_changes_max());
  print("install", leases, {timed([&] { must(kernel->carry_out(all, now())); })});
  lease::Transaction renewal;
  renewal.renew = all.install;
  print("renew", leases, {timed([&] { must(kernel->carry_out(renewal, now())); })});
  print("reconcile, nothing to do", leases, {timed([&] { must(kernel->reconcile(renewal.renew, now())); })});

  std::vector<Duration> install, renew, revoke, inspect;
  for (int i = 0; i < single_rounds; ++i) {
    lease::Transaction one;
    one.install = {redirection(leases, leases + 1 + static_cast<std::uint32_t>(i))};
    install.push_back(timed([&] { must(kernel->carry_out(one, now())); }));
    one.renew = std::move(one.install);
    one.install.clear();
    renew.push_back(timed([&] { must(kernel->carry_out(one, now())); }));
    one.remove = std::move(one.renew);
    one.renew.clear();
    revoke.push_back(timed([&] { must(kernel->carry_out(one, now())); }));
    inspect.push_back(timed([&] { must(kernel->inspect()); }));
  }
  print("install one among many", leases, install);
  print("renew one among many", leases, renew);
  print("revoke one among many", leases, revoke);
  print("look whether somebody changed the rules", leases, inspect);

  kernel.reset();
  print("take over after a crash", leases, {timed([&] { kernel = must(NftRedirect::start(ruleset(), renewal.renew, now())); })});
  kernel.reset();
  must(NftRedirect::remove_everything(ruleset()));
  print("restore from nothing", leases, {timed([&] { kernel = must(NftRedirect::start(ruleset(), renewal.renew, now())); })});
  lease::Transaction removal;
  removal.remove = renewal.renew;
  print("revoke all", leases, {timed([&] { must(kernel->carry_out(removal, now())); })});
  kernel.reset();
  must(NftRedirect::remove_everything(ruleset()));
}

void revocation_by_table_size() {
  auto kernel = must(NftRedirect::start(ruleset(), {}, now()));
  constexpr std::uint32_t other_mark = 0x7fffffff;
  std::uint32_t filled = 0;
  std::uint32_t generation = 0;
  for (const std::uint32_t size : std::initializer_list<std::uint32_t>{1'000, 20'000, 200'000}) {
    fill_conntrack(filled, size - filled, other_mark);
    filled = size;
    for (const std::uint32_t count : std::initializer_list<std::uint32_t>{1, 4, 10, 50}) {
      std::vector<Duration> times;
      for (int i = 0; i < purge_rounds; ++i) {
        lease::Transaction change;
        for (std::uint32_t n = 0; n < count; ++n) change.install.push_back(redirection(n, ++generation));
        must(kernel->carry_out(change, now()));
        fill_conntrack(1'000'000, 1, generation);
        change.remove = std::move(change.install);
        change.install.clear();
        times.push_back(timed([&] { must(kernel->carry_out(change, now())); }));
      }
      print(fmt::format("revoke with {} connections in the table", size), count, times);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::warn);
  const auto leases = argc > 1 ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 50'000U;
  constexpr std::uint32_t leases_max = 170'000;  // addresses x ports x protocols
  if (leases == 0 || leases > leases_max) {
    std::fprintf(stderr, "between 1 and %u leases\n", leases_max);
    return 64;
  }
  must(system::unshare(CLONE_NEWNET));
  whole_books(leases);
  revocation_by_table_size();
  return 0;
}
