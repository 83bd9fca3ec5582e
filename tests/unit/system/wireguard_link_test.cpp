#include "system/wireguard_link.h"

#include <gtest/gtest.h>
#include <linux/wireguard.h>
#include <sys/socket.h>

#include <array>

namespace drpf::system {
namespace {

// As the kernel writes it: host order, but ports and addresses as on the wire.
void put_peer(NetlinkWriter& writer, std::uint8_t key, bool whole, std::span<const Prefix> prefixes) {
  const auto peer = writer.open(0);
  writer.attribute(WGPEER_A_PUBLIC_KEY, WireGuardKey{key});
  if (whole) {
    writer.attribute(WGPEER_A_ENDPOINT, Bytes{AF_INET, 0, 0x9c, 0x40, 203, 0, 113, 9, 0, 0, 0, 0, 0, 0, 0, 0});
    const std::array<std::int64_t, 2> at{1'800'000'000, 5};
    writer.attribute(WGPEER_A_LAST_HANDSHAKE_TIME, {reinterpret_cast<const std::uint8_t*>(at.data()), sizeof at});
    const std::uint64_t count = 4711;
    writer.attribute(WGPEER_A_RX_BYTES, {reinterpret_cast<const std::uint8_t*>(&count), sizeof count});
  }
  const auto list = writer.open(WGPEER_A_ALLOWEDIPS);
  for (const auto& prefix : prefixes) {
    const auto one = writer.open(0);
    writer.attribute(WGALLOWEDIP_A_IPADDR, prefix.address().bytes())
        .u8(WGALLOWEDIP_A_CIDR_MASK, static_cast<std::uint8_t>(prefix.length()));
    writer.close(one);
  }
  writer.close(list).close(peer);
}

std::vector<WireGuardPeerReport> read(NetlinkWriter& writer) {
  std::vector<WireGuardPeerReport> peers;
  const auto bytes = writer.bytes();
  NetlinkMessages messages(bytes);
  while (const auto message = messages.next()) WireGuardLink::read_peers(*message, peers);
  return peers;
}

TEST(WireGuardLink, PeersThatTheKernelCutInPiecesAreOne) {
  const std::array first{*parse_prefix("10.77.0.2"), *parse_prefix("fd00::2")};
  const std::array second{*parse_prefix("192.0.2.0/24")};
  NetlinkWriter writer;
  for (const bool whole : {true, false}) {
    writer.message(30, 0, 1).header(Bytes{0, 1, 0, 0});
    const auto peers = writer.open(WGDEVICE_A_PEERS);
    put_peer(writer, 1, whole, whole ? std::span<const Prefix>(first) : second);
    if (!whole) put_peer(writer, 2, true, {});
    writer.close(peers);
  }
  const auto peers = read(writer);
  ASSERT_EQ(peers.size(), 2U);
  EXPECT_EQ(peers[0].public_key, WireGuardKey{1});
  EXPECT_EQ(peers[0].endpoint, *parse_endpoint("203.0.113.9:40000"));
  EXPECT_EQ(peers[0].last_handshake, WallTime(std::chrono::seconds(1'800'000'000) + std::chrono::nanoseconds(5)));
  EXPECT_EQ(peers[0].bytes_received, 4711U);
  EXPECT_EQ(peers[0].allowed_ips, (std::vector{first[0], first[1], second[0]}));
  EXPECT_TRUE(peers[1].allowed_ips.empty());
}

TEST(WireGuardLink, WhatIsNotAsExpectedIsLeftOut) {
  NetlinkWriter writer;
  writer.message(30, 0, 1).header(Bytes{0, 1, 0, 0});
  const auto peers = writer.open(WGDEVICE_A_PEERS);
  auto peer = writer.open(0);
  writer.attribute(WGPEER_A_PUBLIC_KEY, Bytes(31)).close(peer);  // no key
  peer = writer.open(0);
  writer.attribute(WGPEER_A_PUBLIC_KEY, WireGuardKey{3})
      .attribute(WGPEER_A_ENDPOINT, Bytes{AF_INET6, 0, 1})
      .attribute(WGPEER_A_LAST_HANDSHAKE_TIME, Bytes(16))
      .attribute(WGPEER_A_RX_BYTES, Bytes(3));
  const auto list = writer.open(WGPEER_A_ALLOWEDIPS);
  for (const auto& address : {Bytes(4), Bytes(5)}) {
    const auto one = writer.open(0);
    writer.attribute(WGALLOWEDIP_A_IPADDR, address).u8(WGALLOWEDIP_A_CIDR_MASK, 33).close(one);
  }
  writer.close(list).close(peer).close(peers);
  const auto found = read(writer);
  WireGuardPeerReport bare;
  bare.public_key = WireGuardKey{3};
  EXPECT_EQ(found, std::vector{bare});
}

}  // namespace
}  // namespace drpf::system
