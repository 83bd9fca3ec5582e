#include "probe/neighbours.h"

#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "protocol/ip/checksum.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "system/boot_clock.h"
#include "system/fd.h"

namespace drpf::probe {
namespace {

using std::chrono::milliseconds;

constexpr std::uint8_t icmp6_solicitation = 135;
constexpr std::uint8_t icmp6_advertisement = 136;
constexpr std::uint8_t option_source_link = 1;
constexpr std::uint8_t option_target_link = 2;
constexpr std::size_t packet_max = 2048;
constexpr std::size_t requests_at_once = 32;
constexpr int receive_buffer_bytes = 8 << 20;

sockaddr_ll link_address(int interface, std::uint16_t protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = interface;
  address.sll_halen = ETH_ALEN;
  return address;
}

Result<system::Fd> open_link(int interface, std::uint16_t protocol) {
  system::Fd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail(system::errno_failure(errno, "open a packet socket"));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  const auto address = link_address(interface, protocol);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(system::errno_failure(errno, "bind a packet socket to its interface"));
  return socket;
}

void ask(int socket, const NeighbourLink& link, const Address& wanted) {
  const bool v4 = wanted.is_v4();
  auto to = link_address(link.interface, v4 ? ETH_P_ARP : ETH_P_IPV6);
  const auto packet = v4 ? arp_request(link, wanted) : neighbour_solicitation(link, wanted);
  if (v4) {
    std::fill_n(to.sll_addr, ETH_ALEN, 0xff);
  } else {  // RFC 2464 section 7: the solicited-node multicast address
    const auto bytes = wanted.bytes();
    const std::uint8_t mac[ETH_ALEN] = {0x33, 0x33, 0xff, bytes[13], bytes[14], bytes[15]};
    std::copy(std::begin(mac), std::end(mac), to.sll_addr);
  }
  // What is lost here is asked again.
  (void)::sendto(socket, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

struct Missing {
  Address address;
  Time asked{};  // for the first time
};

void take_answers(int socket, bool v4, Time now, Neighbours& found, std::vector<Missing>& missing) {
  std::array<std::uint8_t, packet_max> buffer;
  for (;;) {
    const auto size = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (size < 0) return;
    const ByteView packet(buffer.data(), static_cast<std::size_t>(size));
    const auto answer = v4 ? read_arp_reply(packet) : read_neighbour_advertisement(packet);
    if (!answer) continue;
    const auto wanted = std::ranges::lower_bound(missing, answer->address, {}, &Missing::address);
    if (wanted == missing.end() || wanted->address != answer->address || wanted->asked == Time{}) continue;
    found.try_emplace(answer->address, Neighbour{answer->mac, true, now - wanted->asked});
  }
}

}  // namespace

Bytes arp_request(const NeighbourLink& link, const Address& wanted) {
  ByteWriter out;
  out.u16_be(1).u16_be(ETH_P_IP).u8(6).u8(4).u16_be(1).bytes(link.mac).bytes(link.local.bytes()).zeros(6).bytes(wanted.bytes());
  return out.take();
}

std::optional<NeighbourAnswer> read_arp_reply(ByteView packet) {
  ByteReader in(packet);
  if (in.u16_be() != 1 || in.u16_be() != ETH_P_IP || in.u8() != 6 || in.u8() != 4 || in.u16_be() != 2) return std::nullopt;
  NeighbourAnswer answer;
  answer.mac = in.array<6>();
  const auto address = in.array<4>();
  if (in.failed() || (answer.mac[0] & 1) != 0) return std::nullopt;
  answer.address = Address::from_bytes(address);
  return answer;
}

Bytes neighbour_solicitation(const NeighbourLink& link, const Address& wanted) {
  namespace ip = protocol::ip;
  const auto bytes = wanted.bytes();
  ByteWriter icmp;
  icmp.u8(icmp6_solicitation).u8(0).u16_be(0).u32_be(0).bytes(bytes).u8(option_source_link).u8(1).bytes(link.mac);
  ByteWriter out;
  out.u32_be(0x60000000).u16_be(static_cast<std::uint16_t>(icmp.size())).u8(ip::protocol_icmp6).u8(255).bytes(link.local.bytes());
  out.u64_be(0xff02000000000000).u32_be(1).u8(0xff).bytes(bytes.subspan(13));
  auto packet = out.bytes(icmp.view()).take();
  const auto body = MutableByteView(packet).subspan(ip::ipv6_header_size);
  const auto sum = ip::checksum_add(
      body, ip::checksum_pseudo_header(ip::addresses(packet), ip::protocol_icmp6, static_cast<std::uint32_t>(body.size())));
  ip::store_native(&body[2], ip::checksum_finish(sum));
  return packet;
}

std::optional<NeighbourAnswer> read_neighbour_advertisement(ByteView packet) {
  namespace ip = protocol::ip;
  const auto layout = ip::walk(packet);
  // RFC 4861 section 7.1.2: hop limit 255, so no router has carried it.
  if (!layout || layout->family != Family::v6 || layout->protocol != ip::protocol_icmp6 || packet[7] != 255) return std::nullopt;
  ByteReader in(packet.subspan(layout->payload_offset, layout->length - layout->payload_offset));
  if (in.u8() != icmp6_advertisement || in.u8() != 0) return std::nullopt;
  in.skip(6);
  const auto target = in.array<16>();
  NeighbourAnswer answer;
  answer.address = Address::from_bytes(target);
  while (!in.failed() && in.remaining() >= 8) {
    const auto type = in.u8();
    const auto size = std::size_t{in.u8()} * 8;
    if (size == 0) return std::nullopt;
    if (type == option_target_link && size == 8) {
      answer.mac = in.array<6>();
      if (in.failed() || (answer.mac[0] & 1) != 0) return std::nullopt;
      return answer;
    }
    in.skip(size - 2);
  }
  return std::nullopt;
}

Status resolve_neighbours(const NeighbourLink& link, std::span<const Address> wanted, double rate_max, Neighbours& found,
                          const std::function<bool()>& stop) {
  auto lookup = system::RouteLookup::open();
  if (!lookup) return fail(std::move(lookup.error()));
  std::vector<Missing> missing;
  Neighbours remembered;
  for (const auto& address : wanted) {
    const auto known = lookup->known_neighbour(link.interface, address);
    const bool by_hand = known && known->mac && !known->confirmed;
    if (known && known->mac) (by_hand ? found : remembered).insert_or_assign(address, Neighbour{*known->mac, false, {}});
    if (!by_hand) missing.push_back({address});
  }
  std::ranges::sort(missing, {}, &Missing::address);
  const auto twice = std::ranges::unique(missing, {}, &Missing::address);
  missing.erase(twice.begin(), twice.end());
  if (missing.empty()) return {};
  const bool v4 = link.local.is_v4();
  auto socket = open_link(link.interface, v4 ? ETH_P_ARP : ETH_P_IPV6);
  if (!socket) return fail(std::move(socket.error()));
  const system::SystemClock clock;
  const auto gap = std::chrono::duration<double>(1 / std::min(rate_max, neighbour_requests_per_second));
  for (const auto wait : neighbour_waits) {
    if (missing.empty()) break;
    auto next = clock.now();
    std::size_t asked = 0;
    const auto drop_found = [&] { std::erase_if(missing, [&](const Missing& one) { return found.contains(one.address); }); };
    while (asked < missing.size()) {
      if (stop()) return {};
      for (std::size_t i = 0; i < requests_at_once && asked < missing.size() && clock.now() >= next; ++i) {
        auto& one = missing[asked++];
        if (one.asked == Time{}) one.asked = clock.now();
        ask(socket->get(), link, one.address);
        next += std::chrono::duration_cast<Duration>(gap);
      }
      take_answers(socket->get(), v4, clock.now(), found, missing);
      if (clock.now() < next) std::this_thread::sleep_for(std::min<Duration>(next - clock.now(), milliseconds(20)));
    }
    const auto deadline = clock.now() + wait;
    drop_found();
    while (!missing.empty() && clock.now() < deadline) {
      if (stop()) return {};
      pollfd waiting{socket->get(), POLLIN, 0};
      ::poll(&waiting, 1, static_cast<int>(std::min<Duration>(deadline - clock.now(), milliseconds(40)) / milliseconds(1)) + 1);
      take_answers(socket->get(), v4, clock.now(), found, missing);
      drop_found();
    }
  }
  found.merge(remembered);
  return {};
}

}  // namespace drpf::probe
