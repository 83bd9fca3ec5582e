// Chapter 5: what must not get through.
#include <netinet/in.h>

#include <cstddef>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/demo/scan.h"
#include "lab/demo/scan_picture.h"
#include "lab/demo/show.h"
#include "lab/stage/packet_watch.h"
#include "lab/stage/sockets.h"
#include "lab/stage/wording.h"
#include "system/socket_address.h"

namespace drpf::lab::demo {
namespace {

constexpr int packets_each = 5;  // of every kind that must not arrive
constexpr Port probe_port{4000};

std::string say_scan(const Scan& scan) {
  return fmt::format("{} ports tried: open {}; {} refused, {} silent", scan.tried, say_ports(scan.open), scan.refused.size(),
                     scan.silent());
}

}  // namespace

Fact Show::scanned_tcp(const std::string& name, const char* target, const std::set<std::uint16_t>& expected, std::string* picture) {
  const Result<ScanPicture> seen = picture_tcp(*parse_address(target));
  if (!seen) return {name, false, seen.error().message};
  if (picture) *picture = "What `drpf scan` shows of the gateway to somebody on the Internet:\n" + seen->table;
  return {name, seen->scan.open == expected, fmt::format("{}: {}", name, say_scan(seen->scan))};
}

Fact Show::scanned_udp(const std::set<std::uint16_t>& expected) {
  const char* name = "UDP scan";
  const Result<Scan> scan = scan_udp(*parse_address(gateway_v4));
  if (!scan) return {name, false, scan.error().message};
  return {name, scan->open == expected,
          fmt::format("{}: {} ports tried: answers from {}; {} refused, {} silent", name, scan->tried, say_ports(scan->open),
                      scan->refused.size(), scan->silent())};
}

Fact Show::homes_apart(const std::string& name, const Machine& from, const Machine& to, const Home& target) {
  const std::string token = fmt::format("drpf demo {} {}", name, stage_->outside_pid());
  Result<PacketWatch> left = PacketWatch::on(from);
  Result<PacketWatch> arrived = PacketWatch::on(to);
  Result<system::Fd> tcp = from.open_socket(AF_INET, SOCK_STREAM, 0);
  if (!left || !arrived || !tcp) return {name, false, "sockets in the homes could not be opened"};
  const Endpoint server{*target.file.address(Family::v4), Port(target.ports[0])};  // known to answer: chapter 2
  std::size_t expected = 0;
  for (const Family family : {Family::v4, Family::v6}) {
    const std::optional<Address> address = target.file.address(family);
    if (!address || (family == Family::v6 && !topology_->has_v6)) continue;
    const Result<system::Fd> udp = from.open_socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    if (!udp) return {name, false, udp.error().message};
    const auto there = system::to_socket_address({*address, server.port});
    for (int i = 0; i < packets_each; ++i) (void)::sendto(udp->get(), token.data(), token.size(), 0, there.get(), there.size);
    expected += packets_each;
  }
  const Reach reach = try_connect(*tcp, server, limits::silence);
  const std::size_t sent = left->count(token, token).first;  // where they leave, so that an error of sendto() shows here
  const std::size_t got = arrived->count(token, token).first;
  return {name, sent == expected && got == 0 && reach != Reach::open,
          fmt::format("{} -> {} through the tunnel: TCP {}; {} of {} datagrams arrived", from.name(), drpf::to_string(server),
                      to_string(reach), got, sent)};
}

Fact Show::false_source_dropped() {
  const std::string name = "false source";
  const Address visitor = *parse_address(visitor_v4);
  // Another home, somebody on the Internet, and nobody at all. The last of the list is the truth, to see that the way is open.
  const Address own = *home_2_.file.address(Family::v4);
  const Address sources[] = {*home_1_.file.address(Family::v4), *parse_address("203.0.113.99"), *parse_address("10.200.0.1"), own};
  Result<PacketWatch> left = PacketWatch::on(topology_->home_2);
  Result<PacketWatch> arrived = PacketWatch::on(topology_->visitor);
  const Result<system::Fd> raw = topology_->home_2.open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (!left || !arrived || !raw) return {name, false, "sockets in home 2 could not be opened"};
  const auto to = system::to_socket_address({visitor, Port()});
  for (const Address& source : sources) {
    const char* truth = source == own ? "true" : "false";
    const std::string packet = udp_packet(source, visitor, probe_port, fmt::format("drpf demo {} source {}", truth, stage_->outside_pid()));
    for (int i = 0; i < packets_each; ++i) (void)::sendto(raw->get(), packet.data(), packet.size(), 0, to.get(), to.size);
  }
  // The true ones were sent last and go the same way, so the false ones would be there when they are.
  const std::string true_text = fmt::format("drpf demo true source {}", stage_->outside_pid());
  const std::string false_text = fmt::format("drpf demo false source {}", stage_->outside_pid());
  std::size_t got_true = 0;
  std::size_t got_false = 0;
  for (const Stopwatch watch; watch.elapsed() < limits::silence; std::this_thread::sleep_for(limits::poll_interval)) {
    const auto [now_true, now_false] = arrived->count(true_text, false_text);
    got_true += now_true;
    got_false += now_false;
    if (got_true >= packets_each) break;
  }
  const auto [sent_true, sent_false] = left->count(true_text, false_text);
  return {name, got_false == 0 && sent_false >= 3 * packets_each && got_true >= packets_each && sent_true >= packets_each,
          fmt::format("{} sent {} packets with 3 false sources: {} arrived; with its own source: {} of {}", home_2_.device, sent_false,
                      got_false, got_true, sent_true)};
}

Chapter Show::everything_else_closed(terminal::Progress& progress) {
  Chapter chapter{"Every other port is closed, and the homes are fenced", {}};
  if (home_1_.servers.empty() || home_2_.servers.empty()) {
    chapter.facts.push_back({"fences", false, "not tried: the homes have no servers"});
    return chapter;
  }
  progress.say("all TCP ports are scanned");
  chapter.facts.push_back(scanned_tcp("TCP scan", gateway_v4, tcp_ports_with_server(), &chapter.picture));
  if (topology_->has_v6) {
    progress.say("all TCP ports are scanned over IPv6");
    chapter.facts.push_back(scanned_tcp("TCP scan over IPv6", gateway_v6, tcp_ports_with_server(), nullptr));
  }
  progress.say("all UDP ports are scanned");
  chapter.facts.push_back(scanned_udp({home_1_.ports[0], home_2_.ports[0]}));
  progress.say("the homes try to reach each other and to lie about who they are");
  chapter.facts.push_back(homes_apart("from home 1 to home 2", topology_->home_1, topology_->home_2, home_2_));
  chapter.facts.push_back(homes_apart("from home 2 to home 1", topology_->home_2, topology_->home_1, home_1_));
  chapter.facts.push_back(false_source_dropped());
  return chapter;
}

}  // namespace drpf::lab::demo
