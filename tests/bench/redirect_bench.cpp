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

#include "crypto/wireguard_primitives.h"
#include "redirect/nft_redirect.h"
#include "system/boot_clock.h"
#include "system/namespaces.h"
#include "tunnel/wireguard/engine.h"

namespace {

using namespace drpf;
using namespace std::chrono_literals;
using redirect::NftRedirect;

constexpr std::uint32_t addresses = 4;
constexpr int single_rounds = 500;
constexpr std::uint32_t revoke_rounds = 400;
constexpr std::uint32_t purge_rounds = 20;

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
  NftRedirect::Options options;
  options.use_counts = false;  // the entries are made without packets
  auto kernel = must(NftRedirect::start(ruleset(), {}, now(), options));
  using tunnel::wireguard::Engine;
  crypto::SystemRandom random;
  const system::SystemClock clock;
  auto tun = must(system::Tun::open(Engine::tun_options("bench0", 1420, tunnel::Offload::automatic)));
  auto sockets = must(system::UdpSockets::open(Engine::udp_options(Port(51820), 0, tunnel::Offload::automatic)));
  tunnel::wireguard::EngineConfig config;
  config.private_key = crypto::generate_private_key(random);
  const auto engine =
      must(Engine::start(config, std::move(tun), std::move(sockets), random, clock, [](const auto&) {}, spdlog::default_logger()));
  constexpr std::uint32_t other_mark = 0x7fffffff;
  std::uint32_t filled = 0;
  std::uint32_t generation = 0;
  for (const std::uint32_t size : std::initializer_list<std::uint32_t>{1'000, 20'000, 200'000}) {
    fill_conntrack(filled, size - filled, other_mark);
    filled = size;
    for (const std::uint32_t count : std::initializer_list<std::uint32_t>{1, 10}) {
      std::vector<Duration> answers, transactions, fences, purges, regrants;
      const auto revoke = [&](lease::Transaction& change, std::uint32_t first) {
        change.remove.clear();
        for (std::uint32_t n = 0; n < count; ++n) change.install.push_back(redirection(first + n, ++generation));
        must(kernel->carry_out(change, now()));
        fill_conntrack(1'000'000, 1, generation);
        change.remove = std::move(change.install);
        change.install.clear();
        std::vector<tunnel::ClosedFlow> flows;
        for (const auto& gone : change.remove) flows.push_back({gone.device_address, gone.protocol, gone.device_port});
        const auto begin = now();
        must(kernel->carry_out(change, begin));
        const auto committed = now();
        must(engine->fence(flows));
        const auto answered = now();
        transactions.push_back(committed - begin);
        fences.push_back(answered - committed);
        answers.push_back(answered - begin);
      };
      // Other ports each time, so that nobody waits for a purge; the purges go on beside it.
      lease::Transaction change;
      for (std::uint32_t i = 0; i < revoke_rounds; ++i) revoke(change, i * count);
      for (std::uint32_t i = 0; i < purge_rounds; ++i) {
        must(kernel->wait_for_purges(10s) ? Status{} : fail(failure("late", "the purge did not end")));
        revoke(change, 0);
        purges.push_back(timed([&] { must(kernel->wait_for_purges(10s) ? Status{} : fail(failure("late", "the purge did not end"))); }));
        revoke(change, 0);
        // The ports go to somebody else at once: that answer waits for the purge.
        change.install = std::move(change.remove);
        change.remove.clear();
        for (auto& one : change.install) one.generation = lease::Generation{++generation};
        regrants.push_back(timed([&] {
          must(kernel->carry_out(change, now()));
          must(kernel->wait_for_purges(10s) ? Status{} : fail(failure("late", "the purge did not end")));
        }));
        change.remove = std::move(change.install);
        change.install.clear();
        must(kernel->carry_out(change, now()));
      }
      const auto where = fmt::format("with {} connections in the table", size);
      print("revoke " + where + ": answer", count, answers);
      print("  its transaction", count, transactions);
      print("  its fence through the tunnel", count, fences);
      print("  connections purged, since the answer", count, purges);
      print("  the same ports granted again at once", count, regrants);
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
