#include "registry/scan_ports.h"

#include <algorithm>
#include <bitset>
#include <span>

#include "registry/iana_table.h"
#include "registry/port_class.h"
#include "registry/transport.h"

namespace drpf::registry {

namespace {

using enum Category;

struct Written {
  std::uint16_t port;
  Category category;
  std::string_view reason;
};

struct Family {
  std::uint16_t base;
  std::uint16_t count;  // base, base + 1, ...
  Category category;
  std::string_view reason;
};

constexpr Written tcp_system[] = {
#include "registry/scan_tcp_system.inc"
};
constexpr Written tcp_written[] = {
#include "registry/scan_tcp.inc"
};
constexpr Family tcp_families[] = {
#include "registry/scan_tcp_families.inc"
};
constexpr Written udp_written[] = {
#include "registry/scan_udp.inc"
};

class Walk {
 public:
  explicit Walk(std::size_t count) : count_(count < scan_count_max ? count : scan_count_max) {
    seen_.set(0);  // port 0 is none
    list_.reserve(count_);
  }
  void add(std::uint16_t port, ScanTier tier, Category category, std::string_view reason) {
    if (list_.size() == count_ || seen_.test(port)) return;
    seen_.set(port);
    list_.push_back({Port{port}, tier, category, reason});
  }
  void add(std::span<const Written> written, ScanTier tier) {
    for (const auto& one : written) add(one.port, tier, one.category, one.reason);
  }
  std::vector<ScanPort> take() && { return std::move(list_); }

 private:
  std::size_t count_;
  std::bitset<65536> seen_;
  std::vector<ScanPort> list_;
};

void add_registered(Walk& walk, Transport transport, PortClass port_class) {
  for (const auto& row : iana_rows_all()) {
    if (!row.transports().contains(transport) || !range_of(port_class).contains(row.ports().first())) continue;
    for (std::uint32_t port = row.first_port; port <= row.last_port; ++port)
      walk.add(static_cast<std::uint16_t>(port), ScanTier::registered, Category::none, row.name());
  }
}

// Ascending by port.
std::vector<Habit> habits_among(std::span<const ScanPort> list) {
  std::vector<Habit> found;
  for (const auto& one : list)
    if (one.tier < ScanTier::registered) found.push_back({one.port, one.reason});
  std::sort(found.begin(), found.end(), [](const Habit& a, const Habit& b) { return a.port < b.port; });
  return found;
}

}  // namespace

std::vector<ScanPort> scan_list(std::size_t count, Protocol protocol) {
  Walk walk(count);
  if (protocol == Protocol::tcp) {
    walk.add(tcp_system, ScanTier::system);
    walk.add(tcp_written, ScanTier::category);
    for (const auto& family : tcp_families)
      for (std::uint16_t step = 0; step < family.count; ++step)
        walk.add(static_cast<std::uint16_t>(family.base + step), ScanTier::family, family.category, family.reason);
  } else {
    walk.add(udp_written, ScanTier::category);
  }
  add_registered(walk, transport_of(protocol), PortClass::user);
  add_registered(walk, transport_of(protocol), PortClass::system);
  for (std::uint32_t port = 1; port <= scan_count_max; ++port)
    walk.add(static_cast<std::uint16_t>(port), ScanTier::rest, Category::none, "every number that is left");
  return std::move(walk).take();
}

std::vector<Port> default_scan_ports(std::size_t count, Protocol protocol) {
  std::vector<Port> ports;
  for (const auto& one : scan_list(count, protocol)) ports.push_back(one.port);
  return ports;
}

std::span<const Habit> habits(Protocol protocol) {
  static const auto of_tcp = habits_among(scan_list(scan_count_max, Protocol::tcp));
  static const auto of_udp = habits_among(scan_list(scan_count_max, Protocol::udp));
  return protocol == Protocol::tcp ? of_tcp : of_udp;
}

std::string_view habit_of(Port port, Protocol protocol) {
  const auto all = habits(protocol);
  const auto found = std::lower_bound(all.begin(), all.end(), port, [](const Habit& one, Port wanted) { return one.port < wanted; });
  return found != all.end() && found->port == port ? found->names : std::string_view();
}

}  // namespace drpf::registry
