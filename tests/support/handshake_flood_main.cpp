// Floods a gateway with WireGuard handshake initiations whose mac1 is right, as anybody can make them who knows its public key, from
// source addresses that are not the sender's (198.18.0.0/15). Needs CAP_NET_RAW. Runs for SECONDS, or until it is ended; prints READY when
// it begins and {"sent","seconds"} at its end.
//
//   handshake_flood PUBLIC_KEY IPV4 PORT RATE SECONDS [--no-mac2 | --no-mac1]      (RATE: per second; 0 = as fast as it goes)
//
// mac2 is a guess, which costs the gateway more than none; --no-mac1 spoils mac1 too, as somebody who does not know the key.
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "core/address.h"
#include "core/encoding.h"
#include "crypto/wireguard_primitives.h"
#include "protocol/wireguard/cookie.h"
#include "system/fd.h"

namespace {

using namespace drpf;
using protocol::wireguard::initiation_size;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t different_messages = 1024;
constexpr std::uint32_t first_source = 0xc6120000;  // 198.18.0.0
constexpr std::uint32_t sources = 1U << 17;
constexpr unsigned at_once = 64;
constexpr auto pause = std::chrono::milliseconds(1);

std::atomic<bool> ended{false};

struct [[gnu::packed]] Packet {
  iphdr ip;
  udphdr udp;
  std::array<std::uint8_t, initiation_size> message;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::vector<Packet> make_packets(const crypto::Key32& receiver, const Address& to, std::uint16_t port, std::string_view option) {
  crypto::SystemRandom random;
  protocol::wireguard::MacSigner signer(receiver);
  std::vector<Packet> packets(different_messages);
  for (auto& packet : packets) {
    packet = {};
    packet.ip.version = 4;
    packet.ip.ihl = 5;
    packet.ip.ttl = 64;
    packet.ip.protocol = IPPROTO_UDP;
    std::memcpy(&packet.ip.daddr, to.bytes().data(), sizeof packet.ip.daddr);
    packet.udp.dest = htons(port);
    packet.udp.len = htons(sizeof(udphdr) + initiation_size);
    random.fill(packet.message);
    packet.message[0] = 1;
    packet.message[1] = packet.message[2] = packet.message[3] = 0;
    signer.sign(packet.message, {});
    const auto mac2 = MutableByteView(packet.message).last(protocol::wireguard::mac_size);
    if (option != "--no-mac2") random.fill(mac2);
    if (option == "--no-mac1") packet.message[10] ^= 1;
  }
  return packets;
}

// The kernel fills in length, identifier and checksum; a UDP checksum of zero means that there is none.
std::uint64_t flood(const system::Fd& socket, std::vector<Packet>& packets, const sockaddr_in& to, double rate,
                    SteadyClock::time_point until) {
  const auto start = SteadyClock::now();
  std::uint64_t sent = 0;
  std::array<mmsghdr, at_once> messages{};
  std::array<iovec, at_once> parts{};
  for (auto now = start; now < until && !ended; now = SteadyClock::now()) {
    const double due = std::chrono::duration<double>(now - start).count() * rate - static_cast<double>(sent);
    const auto count = rate == 0 ? at_once : static_cast<unsigned>(std::clamp(due, 0.0, static_cast<double>(at_once)));
    if (count == 0) {
      std::this_thread::sleep_for(pause);
      continue;
    }
    for (unsigned i = 0; i < count; ++i) {
      auto& packet = packets[(sent + i) % packets.size()];
      packet.ip.saddr = htonl(first_source + static_cast<std::uint32_t>((sent + i) % sources));
      packet.udp.source = htons(static_cast<std::uint16_t>(1024 + (sent + i) / sources % 60'000));
      parts[i] = {&packet, sizeof packet};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_name = const_cast<sockaddr_in*>(&to);
      messages[i].msg_hdr.msg_namelen = sizeof to;
    }
    const int taken = ::sendmmsg(socket.get(), messages.data(), count, 0);
    if (taken > 0) sent += static_cast<std::uint64_t>(taken);
  }
  return sent;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 64;
  const auto key = from_base64(argv[1]);
  const auto address = parse_address(argv[2]);
  if (!key || key->size() != 32 || !address || !address->is_v4()) return 64;
  crypto::Key32 receiver{};
  std::copy(key->begin(), key->end(), receiver.begin());
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[3]));
  const double seconds = std::atof(argv[5]);
  auto packets = make_packets(receiver, *address, port, argc > 6 ? argv[6] : "");

  const system::Fd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (socket.get() < 0) fail("raw socket");
  const int buffer = 4 << 20;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::memcpy(&to.sin_addr, address->bytes().data(), sizeof to.sin_addr);

  struct sigaction on_end{};
  on_end.sa_handler = [](int) { ended = true; };
  ::sigaction(SIGTERM, &on_end, nullptr);
  std::puts("READY");
  std::fflush(stdout);
  const auto start = SteadyClock::now();
  const auto sent = flood(socket, packets, to, std::atof(argv[4]),
                          start + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds)));
  std::printf("{\"sent\":%llu,\"seconds\":%.3f}\n", static_cast<unsigned long long>(sent),
              std::chrono::duration<double>(SteadyClock::now() - start).count());
}
