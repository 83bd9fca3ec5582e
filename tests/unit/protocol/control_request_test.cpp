#include "protocol/wireguard/control_request.h"

#include <gtest/gtest.h>

#include "core/encoding.h"

namespace drpf::protocol::wireguard {
namespace {

const std::string key_a(64, 'a');
const std::string key_b(64, 'b');

TEST(ControlRequest, ReadsGet) { EXPECT_TRUE(std::holds_alternative<ControlGet>(*parse_control_request("get=1"))); }

TEST(ControlRequest, ReadsADeviceAndItsPeers) {
  const auto request = parse_control_request(
      "set=1\nprivate_key=" + key_b + "\nlisten_port=51820\nfwmark=4660\nreplace_peers=true\npublic_key=" + key_a +
      "\nupdate_only=true\npreshared_key=" + key_b +
      "\nendpoint=[2001:db8::1]:5\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n"
      "allowed_ip=+10.1.0.0/16\nallowed_ip=-fd00::/8\nprotocol_version=1\npublic_key=" +
      key_b + "\nremove=true\n");
  ASSERT_TRUE(request);
  const auto& set = std::get<ControlSet>(*request);
  EXPECT_EQ(set.private_key->at(31), 0xbb);
  EXPECT_EQ(set.listen_port, 51820);
  EXPECT_EQ(set.fwmark, 0x1234U);
  EXPECT_TRUE(set.replace_peers);
  ASSERT_EQ(set.peers.size(), 2U);
  const auto& peer = set.peers[0];
  EXPECT_EQ(peer.public_key[0], 0xaa);
  EXPECT_TRUE(peer.update_only);
  EXPECT_EQ(peer.endpoint, *parse_endpoint("[2001:db8::1]:5"));
  EXPECT_EQ(peer.keepalive_s, 25);
  EXPECT_TRUE(peer.replace_allowed_ips);
  EXPECT_EQ(peer.allowed_ips_add, (std::vector<Prefix>{*parse_prefix("10.0.0.0/8"), *parse_prefix("10.1.0.0/16")}));
  EXPECT_EQ(peer.allowed_ips_remove, std::vector<Prefix>{*parse_prefix("fd00::/8")});
  EXPECT_FALSE(peer.remove);
  EXPECT_TRUE(set.peers[1].remove);
}

TEST(ControlRequest, RefusesWhatItDoesNotUnderstandAndKeepsKeysToItself) {
  for (const auto& text : std::vector<std::string>{
           "", "\n", "get=2", "set=1\nlisten_port=65536", "set=1\nlisten_port=-1", "set=1\nlisten_port= 1", "set=1\nendpoint=1.2.3.4:5",
           "set=1\npublic_key=aa", "set=1\npublic_key=" + key_a + "\nallowed_ip=10.0.0.0/33",
           "set=1\npublic_key=" + key_a + "\nprivate_key=" + key_b, "set=1\npublic_key=" + key_a + "\nremove=false", "set=1\nfwmark=0x1",
           "set=1\nreplace_peers", "get=1\nlisten_port=1", "set=1\n\nget=1"})
    EXPECT_FALSE(parse_control_request(text)) << text;
  const auto refused = parse_control_request("set=1\nprivate_key=" + key_a.substr(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.find("aaaa"), std::string::npos);
  EXPECT_NE(refused.error().message.find("line 2"), std::string::npos);
}

TEST(ControlAnswer, IsWhatWgReads) {
  ControlState state;
  state.listen_port = 7;
  state.fwmark = 9;
  ControlPeerState peer;
  peer.public_key.fill(0xaa);
  peer.endpoint = *parse_endpoint("192.0.2.1:5");
  peer.last_handshake_ns = 12'000'000'034;
  peer.bytes_sent = 1;
  peer.bytes_received = 2;
  peer.keepalive_s = 3;
  peer.allowed_ips = {*parse_prefix("10.0.0.1/32")};
  state.peers = {peer};
  EXPECT_EQ(control_answer(state),
            "listen_port=7\nfwmark=9\npublic_key=" + key_a + "\npreshared_key=" + std::string(64, '0') +
                "\nprotocol_version=1\nendpoint=192.0.2.1:5\nlast_handshake_time_sec=12\nlast_handshake_time_nsec=34\n"
                "tx_bytes=1\nrx_bytes=2\npersistent_keepalive_interval=3\nallowed_ip=10.0.0.1/32\nerrno=0\n\n");
  EXPECT_EQ(control_answer(22), "errno=-22\n\n");
}

}  // namespace
}  // namespace drpf::protocol::wireguard
