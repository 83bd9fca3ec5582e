// The lease book and its store without a kernel: grants, revocations, restore, memory and commits. Prints one JSON object a line.
//   leases_bench [LEASES] [STATE_DIRECTORY]             (default 50000, and a directory in the current one)
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lease/lease_book.h"
#include "store/sqlite/sqlite_store.h"
#include "system/boot_clock.h"

namespace {

using namespace drpf;
using namespace std::chrono_literals;

constexpr std::uint32_t hosts = 4;
constexpr std::uint32_t ports_per_device = 5;
constexpr std::uint32_t leases_per_device = 2 * ports_per_device;
constexpr std::uint32_t devices_for_memory = 10'000;
constexpr std::size_t commits = 500;

Time now() { return system::SystemClock().now(); }
double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message);
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

lease::Policy policy() {
  lease::Policy policy;
  for (std::uint32_t i = 0; i < hosts; ++i) {
    lease::PublicHost host;
    host.name = fmt::format("host{}", i);
    host.v4 = Address::v4(0xc6336401 + i);  // 198.51.100.1 on
    host.v6 = must(parse_address(fmt::format("2001:db8::{}", i + 1)));
    policy.hosts.push_back(host);
  }
  lease::Plan plan;
  plan.name = "personal";
  policy.plans = {plan};
  policy.tunnel_v4 = must(parse_prefix("10.64.0.0/10"));
  policy.tunnel_v6 = must(parse_prefix("fd77::/64"));
  return policy;
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Every transaction goes to `commit` before it is applied, as in the gateway.
template <class Commit>
std::vector<lease::DeviceId> enrol(lease::LeaseBook& book, std::uint32_t devices, Commit commit) {
  std::vector<lease::DeviceId> ids;
  for (std::uint32_t i = 0; i < devices; ++i) {
    auto account = must(book.add_account(fmt::format("a{}", i), std::nullopt));
    commit(account.transaction);
    book.apply(account.transaction);
    auto device = must(book.add_device(account.value.id, fmt::format("d{}", i)));
    commit(device.transaction);
    book.apply(device.transaction);
    ids.push_back(device.value.id);
  }
  return ids;
}

void rate(const char* what, std::size_t count, Duration took) {
  fmt::print("{{\"what\": \"{}\", \"leases\": {}, \"ms\": {:.1f}, \"leases_per_s\": {:.0f}}}\n", what, count, milliseconds(took),
             static_cast<double>(count) / std::chrono::duration<double>(took).count());
}

void memory_per_device() {
  malloc_trim(0);
  const auto before = resident_bytes();
  lease::LeaseBook book(policy(), {});
  for (const auto id : enrol(book, devices_for_memory, [](const auto&) {})) book.apply(must(book.connect(id, now())).transaction);
  malloc_trim(0);
  fmt::print("{{\"what\": \"memory of a connected device with its account and {} leases\", \"devices\": {}, \"bytes\": {}}}\n",
             leases_per_device, devices_for_memory, (resident_bytes() - before) / devices_for_memory);
}

void decisions(std::uint32_t leases) {
  lease::LeaseBook book(policy(), {});
  const auto ids = enrol(book, leases / leases_per_device, [](const auto&) {});
  auto begin = now();
  for (const auto id : ids) book.apply(must(book.connect(id, begin)).transaction);
  rate("grant, in the book", book.leases().size(), now() - begin);
  begin = now();
  book.apply(book.tick(begin + 31min, leases));
  rate("renew all in one tick, in the book", book.leases().size(), now() - begin);
  begin = now();
  for (const auto id : ids) book.apply(must(book.disconnect(id, begin)));
  rate("hold at disconnect, in the book", book.leases().size(), now() - begin);
  begin = now();
  for (const auto id : ids) book.apply(must(book.remove_device(id, begin)));
  rate("revoke, in the book", leases, now() - begin);
}

store::ClockReading reading() {
  const system::SystemClock clock;
  return {system::boot_id(), clock.now(), clock.wall_now()};
}

void stored(const std::filesystem::path& directory, std::uint32_t leases) {
  {
    auto store = must(store::sqlite::SqliteStore::open(directory));
    lease::LeaseBook book(policy(), {});
    // Enrolled in one commit: what is measured is the connecting.
    lease::Transaction all;
    const auto ids = enrol(book, leases / leases_per_device, [&](const lease::Transaction& one) {
      all.records.insert(all.records.end(), one.records.begin(), one.records.end());
      all.next_id = one.next_id;
      all.addresses_used_to = one.addresses_used_to;
    });
    must(store->commit(all, reading()));
    std::vector<Duration> latencies;
    auto begin = now();
    for (std::size_t i = 0; i < std::min(commits, ids.size()); ++i) {
      auto connected = must(book.connect(ids[i], now()));
      const auto asked = now();
      must(store->commit(connected.transaction, reading()));
      latencies.push_back(now() - asked);
      book.apply(connected.transaction);
    }
    rate("grant, one durable commit for each device", latencies.size() * leases_per_device, now() - begin);
    std::sort(latencies.begin(), latencies.end());
    fmt::print("{{\"what\": \"durable commit of {} leases\", \"rounds\": {}, \"p50_ms\": {:.3f}, \"p99_ms\": {:.3f}}}\n", leases_per_device,
               latencies.size(), milliseconds(latencies[latencies.size() / 2]), milliseconds(latencies[latencies.size() * 99 / 100]));
    lease::Transaction rest;
    for (std::size_t i = latencies.size(); i < ids.size(); ++i) {
      auto connected = must(book.connect(ids[i], now()));
      rest.records.insert(rest.records.end(), connected.transaction.records.begin(), connected.transaction.records.end());
      rest.generations_used_to = connected.transaction.generations_used_to;
      rest.next_id = connected.transaction.next_id;
      book.apply(connected.transaction);
    }
    begin = now();
    must(store->commit(rest, reading()));
    rate("write, in one durable commit", (ids.size() - latencies.size()) * leases_per_device, now() - begin);
  }
  const auto begin = now();
  auto store = must(store::sqlite::SqliteStore::open(directory));
  const auto opened = now();
  auto state = must(store->load(reading()));
  const auto loaded = now();
  const lease::LeaseBook book(policy(), std::move(state));
  const auto redirections = book.redirections();
  const auto built = now();
  fmt::print(
      "{{\"what\": \"restore\", \"hosts\": {}, \"leases\": {}, \"redirections\": {}, \"open_and_check_ms\": {:.1f}, \"load_ms\": {:.1f}, "
      "\"build_ms\": {:.1f}, \"ms\": {:.1f}}}\n",
      hosts, book.leases().size(), redirections.size(), milliseconds(opened - begin), milliseconds(loaded - opened),
      milliseconds(built - loaded), milliseconds(built - begin));
}

}  // namespace

int main(int argc, char** argv) {
  const auto leases = argc > 1 ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 50'000U;
  if (leases < leases_per_device || leases > 80'000) {
    std::fputs("leases_bench [LEASES, 10 to 80000] [STATE_DIRECTORY]\n", stderr);
    return 2;
  }
  const auto directory =
      argc > 2 ? std::filesystem::path(argv[2]) : std::filesystem::current_path() / fmt::format("leases_bench_state.{}", ::getpid());
  memory_per_device();  // first, while the heap is fresh
  decisions(leases);
  stored(directory, leases);
  if (argc <= 2) std::filesystem::remove_all(directory);
  return 0;
}
