// Two engines in one process: socket pairs stand for the TUN devices, UDP runs over the loopback, any system call can be made to fail.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include "crypto/wireguard_primitives.h"
#include "protocol/ip/offload_header.h"
#include "protocol/ip/splitter.h"
#include "system/boot_clock.h"
#include "tunnel/wireguard/engine.h"
#include "unit/protocol/ip_packets.h"

namespace drpf::test {

using namespace drpf::tunnel;
using wireguard::Engine;
using wireguard::EngineConfig;

inline bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Passes everything on but what a test asks to fail. Hooks run on the packet threads.
class FaultyIo final : public wireguard::PacketIo {
 public:
  using Hook = std::function<int(std::size_t size)>;  // an errno, or 0 to go on
  void set_send(Hook hook) { set(send_, std::move(hook)); }
  void set_send_many(Hook hook) { set(send_many_, std::move(hook)); }
  void set_write_tun(Hook hook) { set(write_tun_, std::move(hook)); }  // size: bytes with the header
  void set_read_tun(Hook hook) { set(read_tun_, std::move(hook)); }
  void set_send_many_at_most(int n) { at_most_ = n; }
  int waits() const { return waits_; }
  // Every datagram that went out, to look for numbers used twice.
  std::vector<Bytes> sent() {
    const std::lock_guard lock(mutex_);
    return sent_;
  }

  ssize_t read_tun(int fd, MutableByteView into) override { return failed(read_tun_, into.size()) ? -1 : PacketIo::read_tun(fd, into); }
  ssize_t write_tun(int fd, std::span<const iovec> parts) override {
    std::size_t size = 0;
    for (const auto& part : parts) size += part.iov_len;
    return failed(write_tun_, size) ? -1 : PacketIo::write_tun(fd, parts);
  }
  ssize_t send(int fd, const msghdr& message) override {
    if (failed(send_, message.msg_iov->iov_len)) return -1;
    return PacketIo::send(fd, message);
  }
  int send_many(int fd, std::span<mmsghdr> messages) override {
    if (failed(send_many_, messages.size())) return -1;
    if (at_most_ > 0) messages = messages.first(std::min(messages.size(), static_cast<std::size_t>(at_most_)));
    const int taken = PacketIo::send_many(fd, messages);
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < taken; ++i) {
      const auto& part = *messages[static_cast<std::size_t>(i)].msg_hdr.msg_iov;
      const auto* const bytes = static_cast<const std::uint8_t*>(part.iov_base);
      sent_.emplace_back(bytes, bytes + part.iov_len);
    }
    return taken;
  }
  // Whatever arrives seems to come from there.
  void set_seen_from(std::optional<std::pair<std::uint32_t, Port>> from) {
    const std::lock_guard lock(mutex_);
    seen_from_ = from;
  }
  int receive_many(int fd, std::span<mmsghdr> messages) override {
    const int count = PacketIo::receive_many(fd, messages);
    const std::lock_guard lock(mutex_);
    for (int i = 0; seen_from_ && i < count; ++i) {
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_addr.s_addr = htonl(seen_from_->first);
      name.sin_port = htons(seen_from_->second.value());
      std::memcpy(messages[static_cast<std::size_t>(i)].msg_hdr.msg_name, &name, sizeof name);
    }
    return count;
  }
  void wait_writable(int, int) override { ++waits_; }
  std::optional<std::uint32_t> path_mtu(int, Family, const msghdr&) override {
    return path_mtu_ == 0 ? std::nullopt : std::optional(path_mtu_.load());
  }
  void set_path_mtu(std::uint32_t mtu) { path_mtu_ = mtu; }
  ssize_t send_fragmented(int fd, Family family, const msghdr& message) override {
    ++fragmented_;
    return PacketIo::send_fragmented(fd, family, message);
  }
  int fragmented() const { return fragmented_; }

 private:
  void set(Hook& place, Hook hook) {
    const std::lock_guard lock(mutex_);
    place = std::move(hook);
  }
  bool failed(const Hook& place, std::size_t size) {
    Hook hook;
    {
      const std::lock_guard lock(mutex_);
      hook = place;
    }
    const int error = hook ? hook(size) : 0;
    errno = error;
    return error != 0;
  }

  std::mutex mutex_;
  Hook send_, send_many_, write_tun_, read_tun_;
  std::vector<Bytes> sent_;
  std::optional<std::pair<std::uint32_t, Port>> seen_from_;
  std::atomic<int> at_most_{0};
  std::atomic<int> waits_{0};
  std::atomic<std::uint32_t> path_mtu_{0};
  std::atomic<int> fragmented_{0};
};

class FastClock final : public Clock {
 public:
  explicit FastClock(int speed = 1) : speed_(speed), start_(real_.now()), wall_start_(real_.wall_now()) {}
  Time now() const override { return start_ + (real_.now() - start_) * speed_; }
  WallTime wall_now() const override { return wall_start_ + (real_.now() - start_) * speed_; }

 private:
  system::SystemClock real_;
  int speed_;
  Time start_;
  WallTime wall_start_;
};

struct Received {
  OffloadHeader header;
  Bytes packet;
};

// One engine, the other end of its "TUN device", and the events it told.
class Node {
 public:
  struct Options {
    Offload offload = Offload::automatic;
    bool require_admission = false;
    int speed = 1;
    Duration disconnect_after = std::chrono::seconds(180);
    std::array<std::uint8_t, 12> timestamp_floor{};
    std::string control_socket_path = {};
    std::uint16_t mtu = 1420;
    bool fence = true;
    bool ask_for_proof = true;
    std::size_t crypto_workers = 0;
  };

  explicit Node(const Key& private_key) : Node(private_key, Options{}) {}
  Node(const Key& private_key, const Options& options) : clock(options.speed), header_(options.offload != Offload::none) {
    auto tun = new_tun();
    auto sockets = system::UdpSockets::open(Engine::udp_options(Port(), 0, options.offload));
    EngineConfig config;
    config.private_key = private_key;
    config.offload = options.offload;
    config.mtu = options.mtu;
    config.fence = options.fence;
    config.ask_for_proof = options.ask_for_proof;
    config.crypto_workers = options.crypto_workers;
    config.require_admission = options.require_admission;
    config.disconnect_after = options.disconnect_after;
    config.timestamp_floor = options.timestamp_floor;
    config.control_socket_path = options.control_socket_path;
    config.packet_io = &io;
    if (options.speed > 1) config.wait_max = std::chrono::milliseconds(20);
    auto log = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
    auto started = Engine::start(
        config, std::move(tun), std::move(*sockets), random, clock,
        [this](Event event) {
          const std::lock_guard lock(mutex_);
          events_.push_back(std::move(event));
        },
        log);
    if (!started) throw std::runtime_error(started.error().message);
    engine = std::move(*started);
  }

  Endpoint endpoint() const { return {Address::v4(0x7f000001), engine->port()}; }

  // Into the "TUN device".
  void put(ByteView packet, const OffloadHeader& header = {}) {
    iovec parts[2] = {{const_cast<OffloadHeader*>(&header), sizeof header}, {const_cast<std::uint8_t*>(packet.data()), packet.size()}};
    const auto wanted = static_cast<ssize_t>(packet.size() + (header_ ? sizeof header : 0));
    ASSERT_TRUE(eventually([&] { return ::writev(outside_.get(), header_ ? parts : parts + 1, header_ ? 2 : 1) == wanted; }));
  }
  // What comes out of it next; none after the time.
  std::optional<Received> take(int timeout_ms = 10'000) {
    pollfd waiting{outside_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) != 1) return {};
    Bytes buffer(70'000);
    const auto size = ::read(outside_.get(), buffer.data(), buffer.size());
    if (size <= 0) return {};
    buffer.resize(static_cast<std::size_t>(size));
    Received out;
    if (header_) {
      std::memcpy(&out.header, buffer.data(), sizeof out.header);
      buffer.erase(buffer.begin(), buffer.begin() + sizeof out.header);
    }
    out.packet = std::move(buffer);
    return out;
  }
  // Takes until so many finished packets have come.
  std::vector<Bytes> take_packets(std::size_t count, int timeout_ms = 10'000) {
    std::vector<Bytes> all;
    while (all.size() < count) {
      const auto one = take(timeout_ms);
      if (!one) break;
      auto splitter = Splitter::start(one->header, one->packet);
      EXPECT_TRUE(splitter);
      while (splitter && !splitter->done()) {
        Bytes packet(splitter->next_size());
        splitter->next(packet);
        all.push_back(std::move(packet));
      }
    }
    return all;
  }

  std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  template <class T>
  std::size_t count() {
    std::size_t n = 0;
    for (const auto& event : events()) n += std::holds_alternative<T>(event) ? 1 : 0;
    return n;
  }
  std::uint64_t counter(std::string_view name) const {
    for (const auto& one : engine->counters())
      if (one.name == name) return one.value;
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }
  // The "device" is another one from now on.
  Status replace_tun() { return engine->replace_tun(new_tun()); }

  FaultyIo io;
  crypto::SystemRandom random;
  FastClock clock;

 private:
  system::Tun new_tun() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
    for (const int end : ends) {
      const int size = 4 << 20;
      ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    outside_ = system::Fd(ends[1]);
    return {system::Fd(ends[0]), "pair", header_};
  }

  bool header_;
  system::Fd outside_;
  std::mutex mutex_;
  std::vector<Event> events_;

 public:
  std::unique_ptr<Engine> engine;  // ends before what it uses
};

// a has 10.0.0.1 and fd00::1, b has 10.0.0.9 and fd00::9 (the addresses of make_packet); a knows where b is.
class EnginePair : public testing::Test {
 protected:
  void start(const Node::Options& a_options = {}, const Node::Options& b_options = {}) {
    a_key = crypto::generate_private_key(random);
    b_key = crypto::generate_private_key(random);
    a = std::make_unique<Node>(a_key, a_options);
    b = std::make_unique<Node>(b_key, b_options);
    connect();
  }
  PeerConfig as_peer_of_a() const {
    PeerConfig peer;
    peer.public_key = crypto::x25519_public(b_key);
    peer.allowed_ips = {Prefix::host(Address::v4(0x0a000009)), Prefix::host(*parse_address("fd00::9"))};
    peer.endpoint = b->endpoint();
    return peer;
  }
  PeerConfig as_peer_of_b() const {
    PeerConfig peer;
    peer.public_key = crypto::x25519_public(a_key);
    peer.allowed_ips = {Prefix::host(Address::v4(0x0a000001)), Prefix::host(*parse_address("fd00::1"))};
    return peer;
  }
  static void add(Node& node, const PeerConfig& peer) {
    ASSERT_TRUE(node.engine->add_peer(peer));
    ASSERT_TRUE(eventually([&] { return node.engine->status(peer.public_key).has_value(); }));
  }
  void connect() {
    add(*b, as_peer_of_b());
    add(*a, as_peer_of_a());
  }
  void reconnect_a() {
    ASSERT_TRUE(a->engine->remove_peer(crypto::x25519_public(b_key)));
    add(*a, as_peer_of_a());
  }
  // b to a: the addresses the other way round.
  static Bytes back(Bytes packet) {
    const std::size_t at = packet[0] >> 4 == 4 ? 12 : 8;
    const std::size_t size = packet[0] >> 4 == 4 ? 4 : 16;
    std::swap_ranges(packet.begin() + static_cast<std::ptrdiff_t>(at), packet.begin() + static_cast<std::ptrdiff_t>(at + size),
                     packet.begin() + static_cast<std::ptrdiff_t>(at + size));
    return packet;
  }
  void expect_passes(Node& from, Node& to, const Bytes& packet) {
    from.put(packet);
    const auto got = to.take();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->packet, packet);
  }

  // No two different datagrams went out under one counter.
  void expect_no_counter_used_twice() {
    std::map<Bytes, Bytes> seen;
    for (const auto& datagram : a->io.sent()) {
      if (datagram[0] != 4) continue;
      const Bytes number(datagram.begin() + 4, datagram.begin() + 16);
      const auto [place, fresh] = seen.emplace(number, datagram);
      EXPECT_TRUE(fresh || place->second == datagram);
    }
  }

  crypto::SystemRandom random;
  Key a_key{};
  Key b_key{};
  std::unique_ptr<Node> a;
  std::unique_ptr<Node> b;
};

}  // namespace drpf::test
