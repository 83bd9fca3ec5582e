#include "tunnel/wireguard/engine.h"

#include <gtest/gtest.h>
#include <sys/un.h>

#include <map>
#include <set>

#include <fmt/format.h>

#include "core/encoding.h"
#include "engine_pair.h"
#include "protocol/wireguard/cookie.h"
#include "protocol/wireguard/messages.h"

namespace drpf {
namespace {

using namespace drpf::test;

OffloadHeader tcp_gso(std::uint16_t size) { return {OffloadHeader::needs_checksum, OffloadHeader::gso_tcp4, 0, size, 20, 16}; }

struct Way {
  Offload offload;
  std::size_t crypto_workers;
};
class EngineOffloads : public EnginePair, public testing::WithParamInterface<Way> {
 protected:
  static Node::Options options() { return {.offload = GetParam().offload, .crypto_workers = GetParam().crypto_workers}; }
};
INSTANTIATE_TEST_SUITE_P(Wireguard, EngineOffloads,
                         testing::Values(Way{Offload::automatic, 0}, Way{Offload::no_uso, 0}, Way{Offload::no_gso, 0},
                                         Way{Offload::none, 0}, Way{Offload::automatic, 3}, Way{Offload::none, 3}));

TEST_P(EngineOffloads, PacketsPassBothWaysInBothFamilies) {
  start(options(), options());
  for (const bool v6 : {false, true}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{1000}, std::size_t{1352}}) {
      const auto packet = make_packet({.v6 = v6, .udp = true, .data_size = size});
      expect_passes(*a, *b, packet);
      expect_passes(*b, *a, back(packet));
    }
  }
  EXPECT_EQ(a->counter("replayed") + b->counter("replayed"), 0U);
}

TEST_P(EngineOffloads, ATrainOfPacketsArrivesWholeAndInOrder) {
  start(options(), options());
  expect_passes(*a, *b, make_packet({.udp = true}));
  const auto train = make_train({.data_size = 1300}, 300, 77);
  for (const auto& packet : train) a->put(packet);
  EXPECT_TRUE(b->take_packets(train.size()) == train);
}

// Many runs in a turn, of several flows: the workers take what they can get, and each flow comes out as it went in.
TEST_P(EngineOffloads, WhoeverSealsAndOpensEachFlowKeepsItsOrder) {
  start(options(), options());
  expect_passes(*a, *b, make_packet({.udp = true}));
  std::vector<Bytes> flows[4];
  for (std::uint16_t flow = 0; flow < 4; ++flow)
    for (std::uint32_t number = 0; number < 200; ++number) {
      auto packet = make_packet({.udp = true, .data_size = 400 + 300U * flow});
      const auto at = packet.size() - 8;
      packet[at] = static_cast<std::uint8_t>(flow);
      packet[at + 1] = static_cast<std::uint8_t>(number);
      flows[flow].push_back(std::move(packet));
    }
  for (std::size_t number = 0; number < 200; ++number)
    for (const auto& flow : flows) a->put(flow[number]);
  std::vector<std::uint8_t> next(4);
  for (const auto& packet : b->take_packets(800)) {
    const auto at = packet.size() - 8;
    ASSERT_LT(packet[at], 4U);
    EXPECT_EQ(packet[at + 1], next[packet[at]]++);
  }
  EXPECT_EQ(next, std::vector<std::uint8_t>(4, 200));
  EXPECT_EQ(b->counter("not_authentic") + b->counter("replayed"), 0U);
}

TEST_F(EnginePair, ASuperpacketArrivesAsOne) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  const auto whole = make_packet({.data_size = 1300 * 20 + 5});
  a->put(whole, tcp_gso(1300));
  const auto packets = b->take_packets(21);
  ASSERT_EQ(packets.size(), 21U);
  Bytes data;
  for (const auto& packet : packets) data.insert(data.end(), packet.begin() + 40, packet.end());
  EXPECT_TRUE(std::equal(data.begin(), data.end(), whole.begin() + 40, whole.end()));
}

TEST_F(EnginePair, SegmentsBeyondOneMessageAreSentInPieces) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  const auto whole = make_packet({.data_size = 88 * 500});
  a->put(whole, tcp_gso(88));
  const auto packets = b->take_packets(500);
  ASSERT_EQ(packets.size(), 500U);
  for (const auto& packet : packets) ASSERT_TRUE(checksums_good(packet));
}

TEST_F(EnginePair, PacketsWaitForTheHandshakeAndTheOldestIsLost) {
  start();
  const auto train = make_train({.udp = true}, 20);
  for (const auto& packet : train) a->put(packet);
  EXPECT_EQ(b->take_packets(20), train);
  EXPECT_EQ(a->counter("staged_dropped"), 0U);
}

TEST_F(EnginePair, StagedPacketsAreBounded) {
  start();
  ASSERT_TRUE(b->engine->remove_peer(crypto::x25519_public(a_key)));  // nobody answers
  const auto train = make_train({.udp = true}, 200);
  for (const auto& packet : train) a->put(packet);
  EXPECT_TRUE(eventually([&] { return a->counter("staged_dropped") == 200 - 128; }));
  ASSERT_TRUE(a->engine->remove_peer(crypto::x25519_public(b_key)));
}

TEST_F(EnginePair, AddressesWithoutAPeerAreCounted) {
  start();
  a->put(back(make_packet({.udp = true})));  // to a's own address: nobody's
  EXPECT_TRUE(eventually([&] { return a->counter("no_route") == 1; }));
  b->put(back(make_packet({.udp = true})));  // b was never told where a is
  EXPECT_TRUE(eventually([&] { return b->counter("no_endpoint") == 1; }));
}

TEST_F(EnginePair, APacketFromAnotherPeersAddressIsDropped) {
  start();
  auto forged = make_packet({.udp = true, .source_host = 3});
  a->put(forged);
  EXPECT_TRUE(eventually([&] { return b->counter("wrong_source") == 1; }));
  expect_passes(*a, *b, make_packet({.udp = true}));
}

TEST_F(EnginePair, TellsOfConnectsAndOfSilence) {
  start({}, {.disconnect_after = std::chrono::milliseconds(300)});
  expect_passes(*a, *b, make_packet({.udp = true}));
  ASSERT_TRUE(eventually([&] { return b->count<PeerConnected>() == 1; }));
  const auto connected = std::get<PeerConnected>(b->events().at(0));
  EXPECT_EQ(connected.public_key, crypto::x25519_public(a_key));
  EXPECT_EQ(connected.endpoint, a->endpoint());
  ASSERT_TRUE(eventually([&] { return b->count<PeerDisconnected>() == 1; }));
  expect_passes(*a, *b, make_packet({.udp = true}));
  EXPECT_TRUE(eventually([&] { return b->count<PeerConnected>() == 2; }));
}

TEST_F(EnginePair, StatusTellsTrafficHandshakeAndPlace) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true, .data_size = 100}));
  const auto key = crypto::x25519_public(a_key);
  ASSERT_TRUE(eventually([&] { return b->engine->status(key)->last_handshake.has_value(); }));
  const auto status = *b->engine->status(key);
  EXPECT_EQ(status.endpoint, a->endpoint());
  EXPECT_EQ(status.bytes_received, 148U + 128U + 32U);  // the initiation, and the packet with header and tag
  EXPECT_EQ(status.bytes_sent, 92U);                    // the response
  EXPECT_TRUE(status.last_authenticated);
  EXPECT_NE(status.last_timestamp, (std::array<std::uint8_t, 12>{}));
  EXPECT_FALSE(b->engine->status(Key{1}));
}

TEST_F(EnginePair, ARemovedPeerIsSilencedAtOnce) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    const auto packet = make_packet({.udp = true});
    while (!stop) a->put(packet);
  });
  ASSERT_TRUE(b->take());
  ASSERT_TRUE(b->engine->remove_peer(crypto::x25519_public(a_key)));
  while (b->take(0)) {  // what was written before
  }
  EXPECT_FALSE(b->take(200));
  stop = true;
  flood.join();
  EXPECT_FALSE(b->engine->status(crypto::x25519_public(a_key)));
  // And it may come back, once what is left of the flood is through.
  ASSERT_TRUE(a->engine->remove_peer(crypto::x25519_public(b_key)));
  a->put(Bytes(3));
  ASSERT_TRUE(eventually([&] { return a->counter("tun_malformed") == 1; }));
  add(*b, as_peer_of_b());
  add(*a, as_peer_of_a());
  expect_passes(*a, *b, make_packet({.udp = true, .first_byte = 9}));
}

TEST_F(EnginePair, NothingIsForwardedBeforeAdmission) {
  start({}, {.require_admission = true});
  const auto key = crypto::x25519_public(a_key);
  const auto packet = make_packet({.udp = true});
  a->put(packet);
  ASSERT_TRUE(eventually([&] { return b->count<PeerConnected>() == 1; }));
  EXPECT_FALSE(b->take(100));
  EXPECT_TRUE(b->engine->status(key)->last_handshake) << "only who got the answer is told of";
  b->engine->admit(key, Address::v4(0x7f000002));  // another address than the one that waits
  EXPECT_FALSE(b->take(100));
  b->engine->admit(key, Address::v4(0x7f000001));
  const auto got = b->take();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->packet, packet);  // it had only waited
  expect_passes(*b, *a, back(packet));
}

TEST_F(EnginePair, AGoodByeMakesTheNextHandshakeANewConnection) {
  start({}, {.require_admission = true});
  const auto key = crypto::x25519_public(a_key);
  a->put(make_packet({.udp = true}));
  ASSERT_TRUE(eventually([&] { return b->count<PeerConnected>() == 1; }));
  b->engine->admit(key, Address::v4(0x7f000001));
  ASSERT_TRUE(b->take());
  b->engine->depart(key);
  expect_passes(*a, *b, make_packet({.udp = true, .first_byte = 1}));  // the session still carries the answer
  EXPECT_EQ(b->count<PeerConnected>(), 1U);
  reconnect_a();
  a->put(make_packet({.udp = true, .first_byte = 2}));
  ASSERT_TRUE(eventually([&] { return b->count<PeerConnected>() == 2; }));
  EXPECT_FALSE(b->take(100));
  b->engine->admit(key, Address::v4(0x7f000001));
  EXPECT_TRUE(b->take());
}

TEST_F(EnginePair, RekeysUnderTrafficWithoutLoss) {
  // 60 times as fast: a new session every 2 s.
  start({.speed = 60}, {.speed = 60});
  const auto key = crypto::x25519_public(b_key);
  expect_passes(*a, *b, make_packet({.udp = true}));
  ASSERT_TRUE(eventually([&] { return a->engine->status(key)->last_handshake.has_value(); }));
  std::set<WallTime> handshakes;
  std::uint8_t n = 0;
  EXPECT_TRUE(eventually(
      [&] {
        const auto packet = make_packet({.udp = true, .first_byte = ++n});
        expect_passes(*a, *b, packet);
        expect_passes(*b, *a, back(packet));
        handshakes.insert(*a->engine->status(key)->last_handshake);
        return HasFailure() || handshakes.size() >= 4;
      },
      std::chrono::seconds(60)));
  EXPECT_EQ(a->counter("not_authentic") + b->counter("not_authentic"), 0U);
  EXPECT_EQ(b->count<PeerConnected>(), 1U);
}

TEST_F(EnginePair, TheTimestampFloorIsKeptOverARestart) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  const auto floor = a->engine->timestamp_floor();
  const auto last = b->engine->status(crypto::x25519_public(a_key))->last_timestamp;
  EXPECT_EQ(floor, last);
  // Both restart; a's floor is a day ahead, as if its clock had gone back.
  auto ahead = floor;
  ahead[6] = static_cast<std::uint8_t>(ahead[6] + 1);
  a = std::make_unique<Node>(a_key, Node::Options{.timestamp_floor = ahead});
  b = std::make_unique<Node>(b_key);
  auto peer = as_peer_of_b();
  peer.last_timestamp = ahead;
  add(*b, peer);
  add(*a, as_peer_of_a());
  expect_passes(*a, *b, make_packet({.udp = true}));
  EXPECT_GT(a->engine->timestamp_floor(), ahead);
}

TEST_F(EnginePair, AReplayedInitiationAfterARestartIsRefused) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  const auto last = b->engine->status(crypto::x25519_public(a_key))->last_timestamp;
  b = std::make_unique<Node>(b_key);
  auto peer = as_peer_of_b();
  peer.last_timestamp = last;
  peer.last_timestamp[0] = 0x7f;  // far ahead of anything that a sends
  add(*b, peer);
  reconnect_a();
  a->put(make_packet({.udp = true}));
  EXPECT_TRUE(eventually([&] { return b->counter("handshake_dropped_replayed_timestamp") >= 1; }));
  EXPECT_GE(b->counter("handshake_dropped"), 1U);
  EXPECT_EQ(b->count<PeerConnected>(), 0U);
}

TEST_F(EnginePair, LowOrderKeysSendNothing) {
  start();
  const std::array<std::string_view, 7> keys = {"0000000000000000000000000000000000000000000000000000000000000000",
                                                "0100000000000000000000000000000000000000000000000000000000000000",
                                                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                                "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                                "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"};
  const auto before = a->io.sent().size();
  std::uint32_t host = 0x0a000101;
  for (const auto text : keys) {
    PeerConfig peer;
    const auto bytes = from_hex(text);
    std::copy(bytes->begin(), bytes->end(), peer.public_key.begin());
    peer.allowed_ips = {Prefix::host(Address::v4(host))};
    peer.endpoint = b->endpoint();
    peer.keepalive_s = 1;
    ASSERT_TRUE(a->engine->add_peer(peer));
    a->engine->initiate(peer.public_key);
    ++host;
  }
  ASSERT_TRUE(eventually([&] { return a->engine->status().size() == 8; }));
  for (auto to = std::uint32_t{0x0a000101}; to < host; ++to) {
    auto packet = make_packet({.udp = true});
    store_be32(&packet[16], to);
    a->put(packet);
  }
  ASSERT_TRUE(eventually([&] { return a->counter("staged_dropped") == 7; }));
  EXPECT_EQ(a->io.sent().size(), before);
}

// -- Faults ---------------------------------------------------------------------------------------------------------------------------

class EngineFaults : public EnginePair {
 protected:
  void SetUp() override {
    start();
    expect_passes(*a, *b, make_packet({.udp = true}));
    train = make_train({.data_size = 1000}, 30, 500);
    whole = make_packet({.data_size = 1000 * 29 + 500});
  }
  void put_train() { a->put(whole, tcp_gso(1000)); }
  std::vector<Bytes> take_train() { return b->take_packets(30, 2000); }
  bool train_arrives() {
    put_train();
    const auto got = take_train();
    Bytes data;
    for (const auto& packet : got) data.insert(data.end(), packet.begin() + 40, packet.end());
    return std::equal(data.begin(), data.end(), whole.begin() + 40, whole.end());
  }
  std::vector<Bytes> train;
  Bytes whole;
};

TEST_F(EngineFaults, EioMeansNoSegmentationAndTheSameCiphertextsGoSingly) {
  a->io.set_send([](std::size_t) { return EIO; });
  EXPECT_TRUE(train_arrives());
  // Counted by the sender, which the receiver may overtake.
  EXPECT_TRUE(eventually([&] { return a->counter("udp_gso_given_up") == 1; }));
  a->io.set_send([](std::size_t) { return ADD_FAILURE() << "segmentation was tried again", 0; });
  EXPECT_TRUE(train_arrives());
  EXPECT_EQ(b->counter("not_authentic") + b->counter("replayed"), 0U);
  expect_no_counter_used_twice();
}

TEST_F(EngineFaults, EinvalThatOnlySegmentationMeetsEndsSegmentation) {
  a->io.set_send([](std::size_t) { return EINVAL; });
  EXPECT_TRUE(train_arrives());
  EXPECT_TRUE(eventually([&] { return a->counter("udp_gso_given_up") == 1; }));
  expect_no_counter_used_twice();
}

TEST_F(EngineFaults, TooLongIsToldInsideAndArrivesInFragments) {
  a->io.set_path_mtu(1400);
  a->io.set_send([](std::size_t) { return EMSGSIZE; });
  a->io.set_send_many([](std::size_t) { return EMSGSIZE; });
  EXPECT_TRUE(train_arrives());
  const auto answer = a->take();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->packet[9], protocol_icmp);
  EXPECT_EQ(answer->packet[20], 3);
  EXPECT_EQ(answer->packet[21], 4);
  EXPECT_EQ(load_be16(&answer->packet[26]), 1328);
  EXPECT_TRUE(std::equal(answer->packet.begin() + 28, answer->packet.begin() + 28 + 20 + 8, train[0].begin()));
  EXPECT_GE(a->io.fragmented(), 1);
  EXPECT_EQ(a->counter("udp_gso_given_up"), 0U) << "it is not the segmentation's fault";
  EXPECT_EQ(a->counter("send_failed"), 0U);
  a->io.set_send({});
  a->io.set_send_many({});
  EXPECT_TRUE(train_arrives());
}

TEST_F(EngineFaults, APathBelowTheLeastOfIpv6IsToldNobody) {
  for (const std::uint32_t mtu : {0U, 552U, 1280U, 1339U}) {
    a->io.set_path_mtu(mtu);
    a->io.set_send([](std::size_t) { return EMSGSIZE; });
    a->io.set_send_many([](std::size_t) { return EMSGSIZE; });
    EXPECT_TRUE(train_arrives()) << mtu;
    EXPECT_FALSE(a->take(50)) << mtu;
  }
}

TEST_F(EngineFaults, NoBufferSpaceIsALossAndNoMore) {
  a->io.set_send([](std::size_t) { return ENOBUFS; });
  put_train();
  EXPECT_TRUE(eventually([&] { return a->counter("send_failed") == 30; }));
  a->io.set_send({});
  EXPECT_TRUE(train_arrives());
  EXPECT_EQ(a->counter("udp_gso_given_up"), 0U);
}

TEST_F(EngineFaults, AFullSocketIsWaitedFor) {
  std::atomic<int> left{3};
  a->io.set_send([&](std::size_t) { return left-- > 0 ? EAGAIN : 0; });
  EXPECT_TRUE(train_arrives());
  EXPECT_EQ(a->io.waits(), 3);
  EXPECT_EQ(a->counter("send_failed"), 0U);
}

TEST_F(EngineFaults, AForeverFullSocketDoesNotStopTheEngine) {
  a->io.set_send([](std::size_t) { return EAGAIN; });
  put_train();
  EXPECT_TRUE(eventually([&] { return a->counter("send_failed") == 30; }));
  a->io.set_send({});
  EXPECT_TRUE(train_arrives());
}

TEST_F(EngineFaults, APartialSendGoesOnWhereItStopped) {
  a->io.set_send([](std::size_t) { return EIO; });
  a->io.set_send_many_at_most(7);
  EXPECT_TRUE(train_arrives());
  EXPECT_EQ(b->counter("replayed"), 0U);
}

TEST_F(EngineFaults, AnErrorOfAnEarlierDatagramIsPassedOver) {
  std::atomic<int> left{1};
  a->io.set_send([&](std::size_t) { return left-- > 0 ? ECONNREFUSED : 0; });
  EXPECT_TRUE(train_arrives());
}

TEST_F(EngineFaults, AVanishedOwnAddressIsForgotten) {
  expect_passes(*b, *a, back(make_packet({.udp = true})));  // now b's address is remembered with the path
  std::atomic<int> left{1};
  b->io.set_send_many([&](std::size_t) { return left-- > 0 ? EINVAL : 0; });
  expect_passes(*b, *a, back(make_packet({.udp = true, .first_byte = 3})));
  expect_passes(*b, *a, back(make_packet({.udp = true, .first_byte = 4})));
  EXPECT_EQ(b->counter("send_failed"), 0U);
}

TEST_F(EngineFaults, ADeviceThatRefusesSuperpacketsGetsSinglePackets) {
  b->io.set_write_tun([](std::size_t size) { return size > 2000 ? EINVAL : 0; });
  EXPECT_TRUE(train_arrives());
  EXPECT_EQ(b->counter("tun_tso_given_up"), 1U);
  EXPECT_EQ(b->counter("tun_uso_given_up"), 0U);
  EXPECT_TRUE(train_arrives());
  EXPECT_EQ(b->counter("tun_write_failed"), 0U);
}

TEST_F(EngineFaults, ADeviceThatIsDownLosesPacketsOnly) {
  b->io.set_write_tun([](std::size_t) { return EIO; });
  put_train();
  EXPECT_TRUE(eventually([&] { return b->counter("tun_write_failed") == 30; }));
  EXPECT_EQ(b->counter("tun_tso_given_up"), 0U);
  b->io.set_write_tun({});
  EXPECT_TRUE(train_arrives());
}

TEST_F(EngineFaults, GarbageFromTheDeviceIsCounted) {
  a->put(Bytes(3, 0xff));
  a->put({}, {});
  a->put(Bytes(60, 0x45));
  EXPECT_TRUE(eventually([&] { return a->counter("tun_malformed") >= 2; }));
  EXPECT_TRUE(train_arrives());
}

TEST_F(EngineFaults, GarbageFromTheNetworkIsCounted) {
  const system::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto to = system::to_socket_address(b->endpoint());
  const auto send = [&](const Bytes& bytes) {
    ASSERT_EQ(::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to.storage), to.size),
              static_cast<ssize_t>(bytes.size()));
  };
  for (std::size_t size = 0; size <= 200; ++size)
    for (std::uint8_t type = 0; type < 6; ++type) {
      Bytes bytes(size, 0);
      if (size > 0) bytes[0] = type;
      send(bytes);
    }
  send(Bytes(65'000, 4));
  EXPECT_TRUE(eventually([&] { return b->counter("datagram_malformed") > 800; }));
  EXPECT_TRUE(eventually([&] { return b->counter("unknown_session") > 100; }));
  EXPECT_TRUE(train_arrives());
}

// Well-formed initiations with a good mac1, as only somebody who knows the public key can make them.
TEST_F(EnginePair, AFloodOfHandshakesLeavesTheTunnelAlive) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    const system::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto source = system::to_socket_address({Address::v4(0x7f000002), Port()});
    const auto to = system::to_socket_address(b->endpoint());
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&source.storage), source.size), 0);
    protocol::wireguard::Initiation initiation;
    protocol::wireguard::MacSigner signer(crypto::x25519_public(b_key));
    auto datagram = protocol::wireguard::encode(initiation);
    signer.sign(datagram, {});
    // In bursts that fill the queue far enough to mean load, but not more than it holds: beyond that, new handshakes are lost by chance.
    while (!stop) {
      for (int i = 0; i < 1500; ++i)
        ::sendto(socket.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&to.storage), to.size);
      std::this_thread::sleep_for(std::chrono::milliseconds(250));
    }
  });
  ASSERT_TRUE(eventually([&] { return b->counter("cookies_sent") > 100; }));
  for (std::uint8_t n = 1; n <= 50 && !HasFailure(); ++n) expect_passes(*a, *b, make_packet({.udp = true, .first_byte = n}));
  // A new handshake still gets through: a cookie comes back, and the next try, 5 s later, carries it. The flood may cost a try or two.
  reconnect_a();
  const auto last = make_packet({.udp = true, .first_byte = 99});
  a->put(last);
  const auto got = b->take(40'000);
  EXPECT_TRUE(got && got->packet == last);
  stop = true;
  flood.join();
}

// -- Control socket -------------------------------------------------------------------------------------------------------------------

std::string ask(const std::string& path, const std::string& request) {
  const system::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return "no connection";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "not sent";
  std::string answer;
  char buffer[4096];
  while (answer.find("\n\n") == std::string::npos) {
    const auto size = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (size <= 0) return answer + "(closed)";
    answer.append(buffer, static_cast<std::size_t>(size));
  }
  return answer;
}

TEST_F(EnginePair, TheControlSocketShowsAndChangesPeers) {
  const auto path = testing::TempDir() + "drpf-control-" + std::to_string(::getpid()) + ".sock";
  start({.control_socket_path = path});
  expect_passes(*a, *b, make_packet({.udp = true}));
  const auto b_hex = to_hex(crypto::x25519_public(b_key));
  auto shown = ask(path, "get=1\n\n");
  EXPECT_NE(shown.find("private_key=" + to_hex(a_key) + "\nlisten_port=" + to_string(a->engine->port()) + "\n"), std::string::npos)
      << shown;
  EXPECT_NE(shown.find("public_key=" + b_hex + "\n"), std::string::npos);
  EXPECT_NE(shown.find("endpoint=" + to_string(b->endpoint()) + "\n"), std::string::npos);
  EXPECT_NE(shown.find("allowed_ip=10.0.0.9/32\n"), std::string::npos);
  EXPECT_TRUE(shown.ends_with("errno=0\n\n"));

  EXPECT_EQ(
      ask(path, "set=1\npublic_key=" + b_hex + "\npersistent_keepalive_interval=25\nallowed_ip=10.5.0.0/16\nallowed_ip=-10.0.0.9/32\n\n"),
      "errno=0\n\n");
  shown = ask(path, "get=1\n\n");
  EXPECT_NE(shown.find("persistent_keepalive_interval=25\n"), std::string::npos);
  EXPECT_NE(shown.find("allowed_ip=10.5.0.0/16\n"), std::string::npos);
  EXPECT_EQ(shown.find("allowed_ip=10.0.0.9/32\n"), std::string::npos);

  EXPECT_EQ(ask(path, "set=1\npublic_key=" + b_hex + "\nremove=true\n\n"), "errno=0\n\n");
  EXPECT_EQ(ask(path, "get=1\n\n").find("public_key="), std::string::npos);
  EXPECT_EQ(ask(path, "set=1\nnonsense=1\n\n"), "errno=-22\n\n");
  EXPECT_EQ(ask(path, "set=1\nlisten_port=1\n\n"), "errno=-95\n\n");
  EXPECT_EQ(ask(path, std::string(5 << 20, 'x')).substr(0, 5), "(clos");
  EXPECT_TRUE(ask(path, "get=1\n\n").ends_with("errno=0\n\n"));  // it lives on
}

TEST_F(EnginePair, WhatTheControlSocketAnswersIsInForce) {
  const auto path = testing::TempDir() + "drpf-control-force-" + std::to_string(::getpid()) + ".sock";
  start({}, {.control_socket_path = path});
  const auto other = crypto::x25519_public(crypto::generate_private_key(random));
  for (int round = 0; round < 200; ++round) {
    ASSERT_EQ(ask(path, "set=1\npublic_key=" + to_hex(other) + "\nallowed_ip=10.0.0.7/32\n\n"), "errno=0\n\n");
    ASSERT_TRUE(b->engine->status(other)) << round;
    ASSERT_EQ(ask(path, "set=1\npublic_key=" + to_hex(other) + "\nremove=true\n\n"), "errno=0\n\n");
    ASSERT_FALSE(b->engine->status(other)) << round;
  }
}

}  // namespace
}  // namespace drpf
