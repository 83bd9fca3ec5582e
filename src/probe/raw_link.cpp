#include "probe/raw_link.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "protocol/ip/wire.h"
#include "system/netlink_socket.h"
#include "system/udp_socket.h"

namespace drpf::probe {
namespace {

constexpr std::uint32_t accept = 0x40000;
constexpr int send_buffer_bytes = 4 << 20;
constexpr int every_interface = 0;

sock_filter statement(unsigned code, std::uint32_t value) { return {static_cast<std::uint16_t>(code), 0, 0, value}; }
sock_filter jump(unsigned code, std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return {static_cast<std::uint16_t>(code), yes, no, value};
}

// Packets begin with the IP header here (SOCK_DGRAM). ICMP, our ports, and what the reader must look at itself: IPv6 extension headers.
std::vector<sock_filter> answer_filter(const RawLinkOptions& options) {
  constexpr unsigned byte = BPF_LD | BPF_B | BPF_ABS;
  constexpr unsigned equal = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr unsigned not_less = BPF_JMP | BPF_JGE | BPF_K;
  constexpr unsigned greater = BPF_JMP | BPF_JGT | BPF_K;
  const auto yes = statement(BPF_RET | BPF_K, accept);
  const auto no = statement(BPF_RET | BPF_K, 0);
  if (options.every_protocol) {
    // An address that is not this one is for somebody else, and a router carries much of that.
    std::vector<sock_filter> code;
    const auto bytes = options.local.bytes();
    const unsigned begin = options.family == Family::v4 ? 16 : 24;
    const auto words = static_cast<std::uint8_t>(bytes.size() / 4);
    for (std::uint8_t i = 0; i < words; ++i) {
      code.push_back(statement(BPF_LD | BPF_W | BPF_ABS, begin + 4U * i));
      code.push_back(jump(equal, protocol::ip::load_be32(&bytes[4U * i]), 0, static_cast<std::uint8_t>(2 * (words - i - 1) + 1)));
    }
    code.push_back(yes);
    code.push_back(no);
    return code;
  }
  if (options.family == Family::v4)
    return {statement(byte, 9),
            jump(equal, IPPROTO_ICMP, 8, 0),
            jump(equal, IPPROTO_TCP, 1, 0),
            jump(equal, IPPROTO_UDP, 0, 7),
            statement(BPF_LD | BPF_H | BPF_ABS, 6),
            jump(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 5, 0),
            statement(BPF_LDX | BPF_B | BPF_MSH, 0),
            statement(BPF_LD | BPF_H | BPF_IND, 2),
            jump(not_less, options.first_port, 0, 2),
            jump(greater, options.last_port, 1, 0),
            yes,
            no};
  return {statement(byte, 6),
          jump(equal, IPPROTO_TCP, 3, 0),
          jump(equal, IPPROTO_UDP, 2, 0),
          jump(equal, IPPROTO_ICMPV6, 4, 0),
          jump(equal, 59, 4, 3),  // no next header; everything else may be an extension header
          statement(BPF_LD | BPF_H | BPF_ABS, 42),
          jump(not_less, options.first_port, 0, 2),
          jump(greater, options.last_port, 1, 0),
          yes,
          no};
}

std::uint16_t ethernet_type(Family family) { return family == Family::v4 ? ETH_P_IP : ETH_P_IPV6; }

Status attach_filter(int socket, const RawLinkOptions& options) {
  auto code = answer_filter(options);
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return fail(system::errno_failure(errno, "attach a filter to a packet socket"));
  return {};
}

Status bind_to(int socket, int interface, std::uint16_t protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = interface;
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(system::errno_failure(errno, "bind a packet socket to its interface"));
  return {};
}

Result<system::Fd> open_packet_sender(int interface) {
  system::Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail(system::errno_failure(errno, "open a packet socket"));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer_bytes, sizeof send_buffer_bytes);
  if (auto bound = bind_to(socket.get(), interface, 0); !bound) return fail(std::move(bound.error()));
  return socket;
}

// Where there is no Ethernet header to write: tunnels and loopback. The packet brings its own IP header.
Result<system::Fd> open_ip_sender(Family family, const std::string& interface) {
  const bool v4 = family == Family::v4;
  system::Fd socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!socket.valid()) return fail(system::errno_failure(errno, "open a raw IP socket"));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer_bytes, sizeof send_buffer_bytes);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  // An address of this host goes to lo by itself, and its route names another interface: bound to lo, the kernel would take it for a
  // stranger's and answer nothing.
  if (interface == "lo") return socket;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(), static_cast<socklen_t>(interface.size())) != 0)
    return fail(system::errno_failure(errno, fmt::format("bind a raw IP socket to {}", interface)));
  return socket;
}

}  // namespace

Result<RawLink> RawLink::open(const RawLinkOptions& options) {
  RawLink link;
  link.options_ = options;
  auto kind = system::link_kind(options.interface);
  if (!kind) return fail(std::move(kind.error()));
  link.kind_ = *kind;
  auto sender = link.sends_frames() ? open_packet_sender(options.interface) : open_ip_sender(options.family, kind->name);
  if (!sender) return fail(std::move(sender.error()));
  link.sender_ = std::move(*sender);

  if (!options.receives) return link;
  link.receiver_ = system::Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int receiver = link.receiver_.get();
  if (receiver < 0) return fail(system::errno_failure(errno, "open a packet socket"));
  const int version = TPACKET_V3;
  tpacket_req3 ring{};
  ring.tp_block_size = ring_block_bytes;
  ring.tp_block_nr = ring_blocks;
  ring.tp_frame_size = 2048;
  ring.tp_frame_nr = ring_block_bytes / 2048 * ring_blocks;
  ring.tp_retire_blk_tov = ring_retire_ms;
  if (::setsockopt(receiver, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
      ::setsockopt(receiver, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0)
    return fail(system::errno_failure(errno, "set up a receive ring"));
  void* mapped = ::mmap(nullptr, std::size_t{ring_block_bytes} * ring_blocks, PROT_READ | PROT_WRITE, MAP_SHARED, receiver, 0);
  if (mapped == MAP_FAILED) return fail(system::errno_failure(errno, "map a receive ring"));
  link.ring_ = static_cast<std::uint8_t*>(mapped);
  if (auto attached = attach_filter(receiver, options); !attached) return fail(std::move(attached.error()));
  if (auto bound = bind_to(receiver, every_interface, ethernet_type(options.family)); !bound) return fail(std::move(bound.error()));
  return link;
}

RawLink::RawLink(RawLink&& other) noexcept
    : kind_(std::move(other.kind_)),
      options_(other.options_),
      sender_(std::move(other.sender_)),
      receiver_(std::move(other.receiver_)),
      ring_(std::exchange(other.ring_, nullptr)),
      block_(other.block_) {}

RawLink::~RawLink() {
  if (ring_ != nullptr) ::munmap(ring_, std::size_t{ring_block_bytes} * ring_blocks);
}

RawLink::Sent RawLink::send(std::span<const OutgoingPacket> packets) {
  std::array<mmsghdr, batch_max> messages{};
  std::array<iovec, batch_max> pieces{};
  std::array<system::SocketAddress, batch_max> to;
  const auto count = std::min(packets.size(), batch_max);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& packet = packets[i];
    auto frame = packet.frame;
    if (sends_frames()) {
      std::copy(packet.next_hop.begin(), packet.next_hop.end(), frame.begin());
      std::copy(kind_.mac.begin(), kind_.mac.end(), frame.begin() + 6);
      frame[12] = static_cast<std::uint8_t>(ethernet_type(options_.family) >> 8);
      frame[13] = static_cast<std::uint8_t>(ethernet_type(options_.family));
    } else {
      frame = frame.subspan(headroom);
      to[i] = system::to_socket_address({packet.target, Port(0)},
                                        packet.target.is_link_local() ? static_cast<std::uint32_t>(options_.interface) : 0);
      messages[i].msg_hdr.msg_name = &to[i].storage;
      messages[i].msg_hdr.msg_namelen = to[i].size;
    }
    pieces[i] = {frame.data(), frame.size()};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  Sent sent;
  while (sent.count < count) {
    const int done = ::sendmmsg(sender_.get(), &messages[sent.count], static_cast<unsigned>(count - sent.count), 0);
    if (done > 0) {
      sent.count += static_cast<std::size_t>(done);
      continue;
    }
    if (errno == EINTR) continue;
    sent.error = errno;
    break;
  }
  return sent;
}

Duration RawLink::clock_offset() {
  timespec boot{};
  timespec real{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  ::clock_gettime(CLOCK_REALTIME, &real);
  return std::chrono::seconds(boot.tv_sec - real.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec - real.tv_nsec);
}

const std::uint8_t* RawLink::ready_block() const {
  if (ring_ == nullptr) return nullptr;
  auto* block = ring_ + std::size_t{block_} * ring_block_bytes;
  auto* header = reinterpret_cast<tpacket_block_desc*>(block);
  const auto status = std::atomic_ref(header->hdr.bh1.block_status).load(std::memory_order_acquire);
  return (status & TP_STATUS_USER) != 0 ? block : nullptr;
}

void RawLink::release_block() {
  auto* header = reinterpret_cast<tpacket_block_desc*>(ring_ + std::size_t{block_} * ring_block_bytes);
  std::atomic_ref(header->hdr.bh1.block_status).store(TP_STATUS_KERNEL, std::memory_order_release);
  block_ = (block_ + 1) % ring_blocks;
}

void RawLink::each_packet(const std::uint8_t* block, const std::function<void(ByteView, std::uint64_t)>& take) const {
  tpacket_block_desc header{};
  std::memcpy(&header, block, sizeof header);
  std::size_t at = header.hdr.bh1.offset_to_first_pkt;
  for (unsigned i = 0; i < header.hdr.bh1.num_pkts && at + sizeof(tpacket3_hdr) <= ring_block_bytes; ++i) {
    tpacket3_hdr packet{};
    std::memcpy(&packet, block + at, sizeof packet);
    const std::size_t begin = at + packet.tp_net;
    if (begin + packet.tp_snaplen <= ring_block_bytes)
      take({block + begin, packet.tp_snaplen}, std::uint64_t{packet.tp_sec} * 1'000'000'000 + packet.tp_nsec);
    if (packet.tp_next_offset == 0) return;
    at += packet.tp_next_offset;
  }
}

std::uint64_t RawLink::take_drops() {
  tpacket_stats_v3 statistics{};
  socklen_t size = sizeof statistics;
  if (::getsockopt(receiver_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &size) != 0) return 0;
  return statistics.tp_drops;
}

}  // namespace drpf::probe
