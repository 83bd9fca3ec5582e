// Holds the personal firewall's evaluator against the kernel: random rule sets are put into this network namespace, random packets are sent
// in by two TUN devices and out by a raw socket, and what arrived is compared with what judge() says. For a namespace of its own.
//
//   host_firewall_check SEED RULE_SETS PACKETS  -> "ok RULE_SETS PACKETS ALLOWED", or the first difference and exit code 1
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "firewall/host/host_judge.h"
#include "firewall/host/host_ruleset_text.h"
#include "firewall/host/service_names.h"
#include "system/fd.h"
#include "system/nft_table.h"
#include "system/process.h"
#include "system/tun.h"

namespace drpf {
namespace {

using firewall::Direction;
using firewall::HostPacket;
using firewall::HostRuleset;

constexpr const char* watching = R"(
add table inet watch
add set inet watch seen { type inet_service ; flags dynamic,timeout ; timeout 10m ; }
add chain inet watch input { type filter hook input priority 10 ; }
add chain inet watch output { type filter hook output priority 10 ; }
flush table inet watch
add rule inet watch input meta l4proto { tcp, udp } ct direction original update @seen { th sport }
add rule inet watch output meta l4proto { tcp, udp } ct direction original update @seen { th sport }
)";

void must(const std::vector<std::string>& arguments, const std::string& input = {}) {
  system::Command command;
  command.arguments = arguments;
  command.input = input;
  const auto output = system::run(command, std::chrono::seconds(30));
  if (output && output->exit_code == 0) return;
  fmt::print("error {}: {}\n{}\n", arguments.front(), output ? output->err : output.error().message, input);
  std::exit(2);
}

std::uint16_t checksum(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void put16(std::vector<std::uint8_t>& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void set16(std::vector<std::uint8_t>& out, std::size_t at, unsigned value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

// A SYN, or a UDP packet without content.
std::vector<std::uint8_t> bytes_of(const HostPacket& packet) {
  std::vector<std::uint8_t> transport;
  put16(transport, packet.source_port.value());
  put16(transport, packet.destination_port.value());
  const bool tcp = packet.protocol == 6;
  if (tcp) {
    transport.insert(transport.end(), {0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0x20, 0x00, 0, 0, 0, 0});
  } else {
    put16(transport, 8);
    put16(transport, 0);
  }
  std::vector<std::uint8_t> pseudo;
  for (const auto* address : {&packet.source, &packet.destination})
    pseudo.insert(pseudo.end(), address->bytes().begin(), address->bytes().end());
  const auto length = static_cast<unsigned>(transport.size());
  auto summed = pseudo;
  summed.insert(summed.end(), {0, packet.protocol});
  put16(summed, length);
  summed.insert(summed.end(), transport.begin(), transport.end());
  set16(transport, tcp ? 16 : 6, checksum(summed));
  std::vector<std::uint8_t> out;
  if (packet.source.is_v4()) {
    out = {0x45, 0};
    put16(out, 20 + length);
    out.insert(out.end(), {0, 0, 0, 0, 64, packet.protocol, 0, 0});
    out.insert(out.end(), pseudo.begin(), pseudo.end());
    set16(out, 10, checksum(out));
  } else {
    out = {0x60, 0, 0, 0};
    put16(out, length);
    out.insert(out.end(), {packet.protocol, 64});
    out.insert(out.end(), pseudo.begin(), pseudo.end());
  }
  out.insert(out.end(), transport.begin(), transport.end());
  return out;
}

class Check {
 public:
  explicit Check(std::uint32_t seed) : random_(seed) {
    for (const std::string name : {"ta0", "tb0"}) {
      auto tun = system::Tun::open({name, 1500, false, false, 0});
      if (!tun) {
        fmt::print("error {}\n", tun.error().message);
        std::exit(2);
      }
      tuns_.emplace(name, std::move(*tun));
    }
    must({"ip", "-batch", "-"},
         "link set lo up\nlink set ta0 up\nlink set tb0 up\naddr add 10.9.0.1/32 dev ta0\naddr add 10.9.0.2/32 dev tb0\n"
         "addr add 2001:db8:9::1/128 dev ta0 nodad\naddr add 2001:db8:9::2/128 dev tb0 nodad\n"
         "route add 10.20.0.0/16 dev ta0\nroute add 192.168.0.0/16 dev tb0\nroute add 2001:db8:20::/48 dev ta0\nroute add fd00::/8 dev "
         "tb0\n");
    raw4_ = system::Fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    raw6_ = system::Fd(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    must({"nft", "-f", "-"}, watching);
  }

  int run(unsigned rule_sets, unsigned packets) {
    auto table = system::NftTable::open("watch");
    if (!table) return 2;
    unsigned allowed = 0;
    std::uint16_t source_port = 1024;
    for (unsigned round = 0; round < rule_sets; ++round) {
      const auto ruleset = some_rules();
      const firewall::HostTextForm form{pick(2) == 0 ? std::size_t{0} : std::size_t{64}};
      must({"nft", "-f", "-"}, host_nft_text(ruleset, {}, form) +
                                   "flush set inet drpf_host limited4\nflush set inet drpf_host limited6\nflush set inet watch seen\n");
      std::vector<HostPacket> sent;
      for (unsigned i = 0; i < packets; ++i) {
        auto packet = some_packet();
        packet.source_port = Port{source_port};
        source_port = source_port == 65535 ? std::uint16_t{1024} : static_cast<std::uint16_t>(source_port + 1);
        send(packet);
        sent.push_back(std::move(packet));
      }
      const auto dumped = table->dump("seen");
      if (!dumped) return 2;
      std::set<std::uint16_t> seen;
      for (const auto& element : *dumped) seen.insert(static_cast<std::uint16_t>(element.key.bytes()[0] << 8 | element.key.bytes()[1]));
      std::map<std::tuple<Address, std::uint8_t, Port>, unsigned> limited;
      for (const auto& packet : sent) {
        const auto judgement = judge(ruleset, packet);
        if (judgement.treatment == firewall::Treatment::limit) {
          const auto source = packet.source.is_v4() ? packet.source : Prefix(packet.source, 64).address();
          if (++limited[{source, packet.protocol, packet.destination_port}] > firewall::limit_connections) continue;
        }
        const bool passes = judgement.treatment == firewall::Treatment::allow || judgement.treatment == firewall::Treatment::limit;
        allowed += passes ? 1 : 0;
        if (passes == seen.contains(packet.source_port.value())) continue;
        fmt::print("difference in round {}: {} {} {} {} -> {} {}; evaluator: {}; kernel: {}\n{}\n{}\n", round, to_string(packet.direction),
                   packet.interface, packet.protocol, to_string(packet.source), to_string(packet.destination),
                   packet.destination_port.value(), to_string(judgement, ruleset), passes ? "refused" : "let pass", to_string(ruleset),
                   host_nft_text(ruleset, {}, form));
        return 1;
      }
    }
    fmt::print("ok {} {} {}\n", rule_sets, rule_sets * packets, allowed);
    return 0;
  }

 private:
  unsigned pick(std::size_t count) { return static_cast<unsigned>(random_() % count); }
  template <class List>
  auto one_of(const List& list) {
    return *(std::begin(list) + pick(std::size(list)));
  }

  HostRuleset some_rules() {
    static constexpr const char* treatments[] = {"allow", "allow", "deny", "reject", "limit"};
    static constexpr const char* interfaces[] = {"", "", "", " on ta0", " on tb0", " on t*"};
    static constexpr const char* services[] = {"any",    "22",         "80/tcp", "53/udp", "20-90/tcp", "60:5000", "ssh,4999:5001/udp",
                                               "leased", "1-65535/udp"};
    static constexpr const char* remote4[] = {"10.20.1.1",      "10.20.0.0/16", "10.20.1.0/24,192.168.0.0/16",
                                              "192.168.7.0/24", "0.0.0.0/0",    "10.20.1.0/31,fd00::/8"};
    static constexpr const char* remote6[] = {"2001:db8:20::/48", "fd00::7", "fd00::/8,2001:db8:20:1::/64", "::/0"};
    HostRuleset ruleset;
    ruleset.on = true;
    ruleset.leased = {{Protocol::tcp, PortRange(Port{4990}, Port{5000})}, {Protocol::udp, PortRange(Port{80})}};
    const auto count = 1 + pick(14);
    std::string treatment = "allow";
    std::string direction = "in";
    while (ruleset.rules.size() < count) {
      // Neighbours are often alike, so that they are gathered.
      if (pick(4) == 0) treatment = one_of(treatments);
      if (pick(5) == 0) direction = direction == "in" ? "out" : "in";
      auto line = treatment + " " + direction + one_of(interfaces) + " " + one_of(services);
      const std::string far = direction == "in" ? " from " : " to ";
      const std::string near = direction == "in" ? " to " : " from ";
      const auto family = pick(3);
      if (family == 1) line += far + one_of(remote4);
      if (family == 2) line += far + one_of(remote6);
      if (pick(5) == 0) line += near + (family == 2 ? "2001:db8:9::1" : pick(2) == 0 ? "10.9.0.2" : "10.9.0.0/24");
      if (auto rule = firewall::parse_host_rule(line, names_)) ruleset.rules.push_back(std::move(*rule));
    }
    return ruleset;
  }

  HostPacket some_packet() {
    static constexpr const char* by_a4[] = {"10.20.1.1", "10.20.1.2", "10.20.200.9"};
    static constexpr const char* by_b4[] = {"192.168.7.7", "192.168.8.8"};
    static constexpr const char* by_a6[] = {"2001:db8:20::5", "2001:db8:20:1::5"};
    static constexpr const char* by_b6[] = {"fd00::7", "fd00:1::8"};
    static constexpr std::uint16_t ports[] = {22, 53, 80, 90, 91, 4989, 4990, 4999, 5000, 5001, 60000, 20, 60};
    const bool v4 = pick(2) == 0;
    const bool a = pick(2) == 0;
    HostPacket packet;
    packet.direction = pick(3) == 0 ? Direction::out : Direction::in;
    packet.interface = a ? "ta0" : "tb0";
    packet.protocol = pick(2) == 0 ? 6 : 17;
    const auto far = *parse_address(v4 ? (a ? one_of(by_a4) : one_of(by_b4)) : (a ? one_of(by_a6) : one_of(by_b6)));
    const auto near = *parse_address(v4 ? (pick(2) == 0 ? "10.9.0.1" : "10.9.0.2") : (pick(2) == 0 ? "2001:db8:9::1" : "2001:db8:9::2"));
    packet.source = packet.direction == Direction::in ? far : near;
    packet.destination = packet.direction == Direction::in ? near : far;
    packet.destination_port = Port{one_of(ports)};
    return packet;
  }

  void send(const HostPacket& packet) {
    const auto bytes = bytes_of(packet);
    if (packet.direction == Direction::in) {
      if (::write(tuns_.at(packet.interface).fd(), bytes.data(), bytes.size()) < 0) fmt::print("error write: {}\n", std::strerror(errno));
      return;
    }
    ssize_t done = 0;
    if (packet.destination.is_v4()) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      std::memcpy(&to.sin_addr, packet.destination.bytes().data(), 4);
      done = ::sendto(raw4_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    } else {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      std::memcpy(&to.sin6_addr, packet.destination.bytes().data(), 16);
      done = ::sendto(raw6_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    if (done < 0 && errno != EPERM && errno != EACCES) fmt::print("error send: {}\n", std::strerror(errno));  // EPERM: refused by a rule
  }

  std::mt19937 random_;
  firewall::ServiceNames names_;
  std::map<std::string, system::Tun> tuns_;
  system::Fd raw4_;
  system::Fd raw6_;
};

}  // namespace
}  // namespace drpf

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  const auto number = [&](int at) { return static_cast<unsigned>(std::strtoul(argv[at], nullptr, 10)); };
  return drpf::Check(number(1)).run(number(2), number(3));
}
