// Chapter 4: what must not get through.
#include <netinet/in.h>

#include <cstddef>
#include <thread>

#include <fmt/format.h>

#include "cli/demo/limits.h"
#include "cli/demo/packet_watch.h"
#include "cli/demo/scan.h"
#include "cli/demo/show.h"
#include "cli/demo/sockets.h"
#include "cli/demo/wording.h"

namespace drpf::cli::demo {
namespace {

constexpr int packets_each = 5;  // of every kind that must not arrive
constexpr Port probe_port{4000};

std::string say_scan(const Scan& scan) {
  return fmt::format("{} ports tried: open {}; {} refused, {} silent", scan.tried, say_ports(scan.open), scan.refused.size(),
                     scan.silent());
}

}  // namespace

Fact Show::scanned_tcp(const std::string& name, const char* target, const char* source, const std::set<std::uint16_t>& expected) {
  const Result<Scan> scan = scan_tcp(*parse_address(target), *parse_address(source));
  if (!scan) return {name, false, scan.error().message};
  return {name, scan->open == expected, fmt::format("{}: {}", name, say_scan(*scan))};
}

Fact Show::scanned_udp(const std::set<std::uint16_t>& expected) {
  const char* name = "UDP scan";
  const Result<Scan> scan = scan_udp(*parse_address(gateway_v4));
  if (!scan) return {name, false, scan.error().message};
  return {name, scan->open == expected,
          fmt::format("{}: {} ports tried: answers from {}; {} refused, {} silent", name, scan->tried, say_ports(scan->open),
                      scan->refused.size(), scan->silent())};
}

Fact Show::homes_apart() {
  const std::string name = "homes apart";
  const std::string token = fmt::format("drpf demo from home to home {}", stage_->outside_pid());
  Result<PacketWatch> left = PacketWatch::on(topology_->home_1);
  Result<PacketWatch> arrived = PacketWatch::on(topology_->home_2);
  Result<system::Fd> udp = topology_->home_1.open_socket(AF_INET, SOCK_DGRAM, 0);
  Result<system::Fd> tcp = topology_->home_1.open_socket(AF_INET, SOCK_STREAM, 0);
  if (!left || !arrived || !udp || !tcp) return {name, false, "sockets in the homes could not be opened"};
  // The server there is known to answer: chapter 2.
  const Endpoint server{home_2_.tunnel_v4, Port(home_2_.ports[0])};
  const SocketAddress to = socket_address(server.address, server.port);
  for (int i = 0; i < packets_each; ++i) {
    (void)::sendto(udp->get(), token.data(), token.size(), 0, to.get(), to.length);  // counted where it leaves
  }
  const Reach reach = try_connect(*tcp, server, limits::silence);
  const std::size_t sent = left->count(token, token).first;
  const std::size_t got = arrived->count(token, token).first;
  return {name, sent == packets_each && got == 0 && reach != Reach::open,
          fmt::format("{} -> {} through the tunnel: TCP {}; of {} datagrams {} arrived", home_1_.device, drpf::to_string(server),
                      to_string(reach), sent, got)};
}

Fact Show::false_source_dropped() {
  const std::string name = "false source";
  const Address visitor = *parse_address(visitor_v4);
  // Another home, somebody on the Internet, and nobody at all. The last of the list is the truth, to see that the way is open.
  const Address sources[] = {home_1_.tunnel_v4, *parse_address("203.0.113.99"), *parse_address("10.200.0.1"), home_2_.tunnel_v4};
  Result<PacketWatch> left = PacketWatch::on(topology_->home_2);
  Result<PacketWatch> arrived = PacketWatch::on(topology_->visitor);
  const Result<system::Fd> raw = topology_->home_2.open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (!left || !arrived || !raw) return {name, false, "sockets in home 2 could not be opened"};
  const SocketAddress to = socket_address(visitor, Port());
  for (const Address& source : sources) {
    const char* truth = source == home_2_.tunnel_v4 ? "true" : "false";
    const std::string packet = udp_packet(source, visitor, probe_port, fmt::format("drpf demo {} source {}", truth, stage_->outside_pid()));
    for (int i = 0; i < packets_each; ++i) (void)::sendto(raw->get(), packet.data(), packet.size(), 0, to.get(), to.length);
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

Chapter Show::everything_else_closed(Progress& progress) {
  Chapter chapter{"Every other port is closed, and the homes are fenced", {}};
  if (home_1_.servers.empty() || home_2_.servers.empty()) {
    chapter.facts.push_back({"fences", false, "not tried: the homes have no servers"});
    return chapter;
  }
  progress.say("all TCP ports are scanned");
  chapter.facts.push_back(scanned_tcp("TCP scan", gateway_v4, visitor_v4, tcp_ports_with_server()));
  if (topology_->has_v6) {
    progress.say("all TCP ports are scanned over IPv6");
    chapter.facts.push_back(scanned_tcp("TCP scan over IPv6", gateway_v6, visitor_v6, tcp_ports_with_server()));
  }
  progress.say("all UDP ports are scanned");
  chapter.facts.push_back(scanned_udp({home_1_.ports[0], home_2_.ports[0]}));
  progress.say("the homes try to reach each other and to lie about who they are");
  chapter.facts.push_back(homes_apart());
  chapter.facts.push_back(false_source_dropped());
  return chapter;
}

}  // namespace drpf::cli::demo
