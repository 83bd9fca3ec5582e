#include "tunnel/kernel/kernel_tunnel.h"

#include <spdlog/logger.h>

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "protocol/wireguard/noise_handshake.h"

namespace drpf::tunnel::kernel {
namespace {

constexpr std::uint16_t calling_keepalive_s = 25;  // any but 0: turning it on makes the kernel send

bool same_prefixes(std::vector<Prefix> a, std::vector<Prefix> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

}  // namespace

Status check_link_is_ours(const std::string& interface, const Key& private_key, system::LinksAndRoutes& network) {
  const auto present = network.link(interface);
  if (!present || present->kind != system::WireGuardLink::link_kind) return {};
  auto link = system::WireGuardLink::open(interface);
  if (!link) return fail(link.error());
  const auto key = link->public_key();
  if (!key) return fail(key.error());
  if (!*key || **key == protocol::wireguard::Identity::from_private(private_key).public_key) return {};
  return fail(failure("interface_taken",
                      "the network interface " + interface + " is a WireGuard tunnel with another key than this gateway's",
                      "name another one with [tunnel] interface, or remove it if nobody needs it (ip link delete " + interface + ")"));
}

Result<std::unique_ptr<KernelTunnel>> KernelTunnel::start(const KernelTunnelConfig& config, system::LinksAndRoutes& network,
                                                          const Clock& clock, std::function<void(Event)> on_event,
                                                          std::shared_ptr<spdlog::logger> log) {
  if (auto ours = check_link_is_ours(config.interface, config.private_key, network); !ours) return fail(ours.error());
  const auto kind = system::WireGuardLink::link_kind;
  if (auto made = network.ensure_link(config.interface, kind); !made) {
    auto error = made.error();
    if (system::is_errno(error, EOPNOTSUPP))
      error = failure("wireguard_unknown", "this kernel has no WireGuard, and engine = \"kernel\" asks for it",
                      "load its module (modprobe wireguard), or write engine = \"embedded\" in [tunnel]");
    return fail(std::move(error));
  }
  auto commands = system::WireGuardLink::open(config.interface);
  if (!commands) return fail(commands.error());
  auto looking = system::WireGuardLink::open(config.interface);
  if (!looking) return fail(looking.error());
  if (auto set = commands->set_device(config.private_key, config.port); !set) return fail(set.error());
  if (auto set = network.change_link(config.interface, {.up = {}, .mtu = config.mtu, .transmit_queue_length = {}}); !set)
    return fail(set.error());
  auto left = commands->peers();
  if (!left) return fail(left.error());

  std::unique_ptr<KernelTunnel> tunnel(new KernelTunnel(std::move(*commands), std::move(*looking), config.disconnect_after, clock,
                                                        config.interface, std::move(on_event), std::move(log)));
  for (auto& peer : *left) tunnel->left_.emplace(peer.public_key, std::move(peer.allowed_ips));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the control thread
  tunnel->thread_ = std::thread([&tunnel = *tunnel] { tunnel.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(tunnel->thread_.native_handle(), "wg-look");
  return tunnel;
}

KernelTunnel::KernelTunnel(system::WireGuardLink commands, system::WireGuardLink looking, Duration disconnect_after, const Clock& clock,
                           std::string interface, std::function<void(Event)> on_event, std::shared_ptr<spdlog::logger> log)
    : commands_(std::move(commands)),
      looking_(std::move(looking)),
      clock_(clock),
      interface_(std::move(interface)),
      on_event_(std::move(on_event)),
      log_(std::move(log)),
      started_(clock.now()),
      watch_(disconnect_after) {}

KernelTunnel::~KernelTunnel() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stopping_changed_.notify_all();
  }
  thread_.join();
  for (const auto& [key, peer] : peers_)
    if (peer.admitted) shut(key);
}

Status KernelTunnel::add_peer(const PeerConfig& peer) {
  const std::lock_guard lock(mutex_);
  auto& known = peers_[peer.public_key];
  // What an earlier run had admitted goes on, so that its sessions live through the restart.
  if (const auto left = left_.extract(peer.public_key); left && !left.mapped().empty())
    known.admitted = same_prefixes(left.mapped(), peer.allowed_ips);
  known.config = peer;
  watch_.add(peer.public_key);
  system::WireGuardPeerChange change;
  change.public_key = peer.public_key;
  change.preshared_key = peer.preshared_key;
  change.endpoint = peer.endpoint;
  change.keepalive_s = peer.keepalive_s;
  if (!known.admitted)
    change.allowed_ips.emplace();
  else
    change.allowed_ips = peer.allowed_ips;
  return commands_.set_peer(change);
}

Status KernelTunnel::remove_peer(const Key& public_key) {
  const std::lock_guard lock(mutex_);
  peers_.erase(public_key);
  left_.erase(public_key);
  watch_.remove(public_key);
  return commands_.remove_peer(public_key);
}

void KernelTunnel::admit(const Key& public_key, const Address&) {
  const std::lock_guard lock(mutex_);
  const auto found = peers_.find(public_key);
  if (found == peers_.end() || found->second.admitted) return;
  system::WireGuardPeerChange change;
  change.public_key = public_key;
  change.must_exist = true;
  change.allowed_ips = found->second.config.allowed_ips;
  const auto opened = commands_.set_peer(change);
  if (!opened) log_->error("a device is not let in: {}", opened.error().message);
  found->second.admitted = opened.has_value();
}

// Without prefixes nothing of the peer is forwarded, and nothing goes to it.
void KernelTunnel::shut(const Key& public_key) {
  const auto found = peers_.find(public_key);
  if (found == peers_.end()) return;
  found->second.admitted = false;
  system::WireGuardPeerChange change;
  change.public_key = public_key;
  change.must_exist = true;
  change.allowed_ips.emplace();
  if (const auto done = commands_.set_peer(change); !done) log_->error("a device that is away is still let in: {}", done.error().message);
}

void KernelTunnel::depart(const Key& public_key) {
  const std::lock_guard lock(mutex_);
  watch_.depart(public_key);
  departing_.insert(public_key);
}

Status KernelTunnel::fence(std::span<const ClosedFlow>) { return {}; }

// The kernel shakes hands when it has something to send; turning the keepalive on is something.
void KernelTunnel::initiate(const Key& public_key) {
  const std::lock_guard lock(mutex_);
  const auto found = peers_.find(public_key);
  if (found == peers_.end()) return;
  system::WireGuardPeerChange change;
  change.public_key = public_key;
  change.must_exist = true;
  const auto usual = found->second.config.keepalive_s;
  std::vector<std::uint16_t> steps{0, usual != 0 ? usual : calling_keepalive_s};
  if (usual == 0) steps.push_back(0);
  for (const auto step : steps) {
    change.keepalive_s = step;
    if (const auto set = commands_.set_peer(change); !set) return log_->warn("a device could not be called: {}", set.error().message);
  }
}

std::vector<PeerStatus> KernelTunnel::status() const {
  const std::lock_guard lock(mutex_);
  return watch_.status();
}

std::optional<PeerStatus> KernelTunnel::status(const Key& public_key) const {
  const std::lock_guard lock(mutex_);
  return watch_.status(public_key);
}

void KernelTunnel::run() {
  std::unique_lock lock(mutex_);
  Duration pause = look_interval;
  while (!stopping_changed_.wait_for(lock, pause, [&] { return stopping_; })) {
    lock.unlock();
    const auto began = clock_.now();
    if (!look()) return;
    pause = std::max<Duration>(look_interval, (clock_.now() - began) * look_share);
    lock.lock();
  }
}

bool KernelTunnel::look() {
  const auto reports = looking_.peers();
  if (!reports) {
    if (!system::is_errno(reports.error(), ENODEV)) {
      log_->warn("{}", reports.error().message);
      return true;
    }
    on_event_(EngineFailed{reports.error()});
    return false;
  }
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    events = watch_.look(*reports, clock_.now(), clock_.wall_now());
    for (const auto& key : std::exchange(departing_, {})) shut(key);
    for (const auto& event : events)
      if (const auto* gone = std::get_if<PeerDisconnected>(&event)) shut(gone->public_key);
    if (clock_.now() - started_ >= adoption_time) remove_strangers(*reports);
  }
  for (auto& event : events) on_event_(std::move(event));
  return true;
}

void KernelTunnel::remove_strangers(std::span<const system::WireGuardPeerReport> reports) {
  for (const auto& report : reports) {
    if (watch_.knows(report.public_key)) continue;
    log_->warn("a peer that is no device of this gateway was in the tunnel, and is removed");
    if (const auto removed = commands_.remove_peer(report.public_key); !removed) log_->error("{}", removed.error().message);
  }
}

std::vector<Counter> KernelTunnel::counters() const {
  std::vector<Counter> all;
  for (const auto* name :
       {"rx_packets", "rx_errors", "rx_dropped", "rx_frame_errors", "rx_length_errors", "tx_packets", "tx_errors", "tx_dropped"}) {
    std::ifstream file("/sys/class/net/" + interface_ + "/statistics/" + name);
    if (std::uint64_t value = 0; file >> value) all.push_back({name, value});
  }
  return all;
}

}  // namespace drpf::tunnel::kernel
