#include "tunnel/wireguard/engine.h"

#include <spdlog/logger.h>

#include <pthread.h>
#include <signal.h>

#include <future>
#include <thread>

#include "system/offload_probe.h"
#include "tunnel/wireguard/control_socket.h"
#include "tunnel/wireguard/crypto_workers.h"
#include "tunnel/wireguard/engine_state.h"
#include "tunnel/wireguard/fence.h"
#include "tunnel/wireguard/handshaker.h"
#include "tunnel/wireguard/receiver.h"
#include "tunnel/wireguard/sender.h"

namespace drpf::tunnel::wireguard {

using protocol::wireguard::Identity;

struct Engine::Parts {
  Parts(const EngineConfig& config, system::Tun tun, system::UdpSockets sockets, Random& random, const Clock& clock,
        std::function<void(Event)> on_event, std::shared_ptr<spdlog::logger> log)
      : state(std::move(tun), std::move(sockets), config.packet_io != nullptr ? *config.packet_io : system_calls, clock, std::move(log),
              config.mtu, config.require_admission,
              config.crypto_workers.value_or(CryptoWorkers::count_for(std::thread::hardware_concurrency()))),
        handshaker(state,
                   {Identity::from_private(config.private_key), config.timestamp_floor, config.disconnect_after, config.wait_max,
                    config.ask_for_proof},
                   random, std::move(on_event)),
        fence(state, config.fence) {}

  PacketIo system_calls;
  EngineState state;
  Handshaker handshaker;
  Fence fence;
  std::optional<Sender> sender;
  std::optional<Receiver> receiver;
  std::unique_ptr<ControlSocket> control_socket;
  std::vector<std::thread> threads;
};

namespace {

// Signals are for the thread that made the engine.
template <class Work>
std::thread start_thread(const char* name, Work work) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(work));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

bool segmentation_trusted(spdlog::logger& log) {
  const auto release = system::kernel_release();
  const bool denied = system::udp_segmentation_denied(release);
  if (denied || system::probe_udp_segmentation() == system::ProbeResult::broken) {
    log.warn("UDP segmentation offload is left off: {}",
             denied ? "kernel " + release + " is known to corrupt it" : "it changes the bytes on this machine");
    return false;
  }
  return true;
}

}  // namespace

system::TunOptions Engine::tun_options(const std::string& name, std::uint16_t mtu, Offload offload) {
  return {name, mtu, offload != Offload::none, offload != Offload::no_uso};
}

system::UdpOptions Engine::udp_options(Port port, std::uint32_t fwmark, Offload offload) {
  system::UdpOptions options;
  options.port = port;
  options.fwmark = fwmark;
  options.offload = offload != Offload::none && offload != Offload::no_gso;
  return options;
}

Result<std::unique_ptr<Engine>> Engine::start(EngineConfig config, system::Tun tun, system::UdpSockets sockets, Random& random,
                                              const Clock& clock, std::function<void(Event)> on_event,
                                              std::shared_ptr<spdlog::logger> log) {
  auto parts = std::make_unique<Parts>(config, std::move(tun), std::move(sockets), random, clock, std::move(on_event), std::move(log));
  auto& state = parts->state;
  const bool none = config.offload == Offload::none;
  const bool segmentation = !none && config.offload != Offload::no_gso && segmentation_trusted(*state.log);
  state.switches.gso_v4 = segmentation && state.sockets.of(Family::v4).gso;
  state.switches.gso_v6 = segmentation && state.sockets.of(Family::v6).gso;
  state.switches.merge_tcp = !none && state.tun.offload_header();
  state.switches.merge_udp = !none && config.offload != Offload::no_uso && state.tun.uso();
  parts->sender.emplace(state);
  parts->receiver.emplace(state);

  if (!config.control_socket_path.empty()) {
    auto control = ControlSocket::open(config.control_socket_path, state, parts->handshaker, config.private_key);
    if (!control) return fail(control.error());
    parts->control_socket = std::move(*control);
    auto* const socket = parts->control_socket.get();
    parts->handshaker.serve([socket] { return socket->watched(); }, [socket] { socket->on_ready(); });
  }
  auto* const all = parts.get();
  parts->threads.push_back(start_thread("wg-handshake", [all] { all->handshaker.run(); }));
  parts->threads.push_back(start_thread("wg-receive", [all] { all->receiver->run(); }));
  parts->threads.push_back(start_thread("wg-send", [all] { all->sender->run(); }));
  parts->threads.push_back(start_thread("wg-fence", [all] { all->fence.run(); }));
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Engine::~Engine() {
  auto& state = parts_->state;
  state.stopping.store(true);
  state.handshaker_wake.wake();
  state.receiver_wake.wake();
  state.sender_wake.wake();
  parts_->fence.stop();
  for (auto& thread : parts_->threads) thread.join();
}

Status Engine::add_peer(const PeerConfig& peer) {
  if (peer.allowed_ips.size() > allowed_ips_per_peer_max)
    return fail(refusal("allowed_ips_too_many", "a peer cannot have " + std::to_string(peer.allowed_ips.size()) + " allowed prefixes",
                        "use at most " + std::to_string(allowed_ips_per_peer_max)));
  PeerChange change;
  change.public_key = peer.public_key;
  change.preshared_key = peer.preshared_key;
  change.endpoint = peer.endpoint;
  change.keepalive_s = peer.keepalive_s;
  change.replace_allowed_ips = true;
  change.allowed_ips_add = peer.allowed_ips;
  change.last_timestamp = peer.last_timestamp;
  auto& handshaker = parts_->handshaker;
  handshaker.post([&handshaker, change = std::move(change)] { handshaker.change_peer(change); });
  return {};
}

Status Engine::remove_peer(const Key& public_key) {
  auto& handshaker = parts_->handshaker;
  auto done = std::make_shared<std::promise<void>>();  // the wait may end before the work does
  auto finished = done->get_future();
  handshaker.post([&handshaker, public_key, done] {
    handshaker.remove_peer(public_key);
    done->set_value();
  });
  if (finished.wait_for(command_wait_max) == std::future_status::ready) return {};
  return fail(
      failure("engine_busy", "the WireGuard engine did not confirm the removal of a peer within 2 s", "look into the log for the reason"));
}

void Engine::admit(const Key& public_key, const Address& endpoint_address) {
  auto& handshaker = parts_->handshaker;
  handshaker.post([&handshaker, public_key, endpoint_address] { handshaker.admit(public_key, endpoint_address); });
}

void Engine::depart(const Key& public_key) {
  auto& handshaker = parts_->handshaker;
  handshaker.post([&handshaker, public_key] { handshaker.depart(public_key); });
}

void Engine::initiate(const Key& public_key) {
  auto& handshaker = parts_->handshaker;
  handshaker.post([&handshaker, public_key] { handshaker.initiate(public_key); });
}

Status Engine::fence(std::span<const ClosedFlow> flows) { return parts_->fence.close(flows); }

// The sender waits without a device, or still for something of the old one.
Status Engine::replace_tun(system::Tun made) {
  auto& state = parts_->state;
  if (auto done = state.tun.become(std::move(made)); !done) return done;
  state.tun_replaced.store(true);
  state.sender_wake.wake();
  return {};
}

std::size_t Engine::fenced_flows() const { return parts_->fence.closed(); }

std::vector<PeerStatus> Engine::status() const {
  std::vector<PeerStatus> all;
  for (const auto& details : parts_->handshaker.details()) all.push_back(details.status);
  return all;
}

std::optional<PeerStatus> Engine::status(const Key& public_key) const {
  const auto details = parts_->handshaker.details(public_key);
  if (!details) return {};
  return details->status;
}

std::vector<StrangerRefusal> Engine::strangers() const { return parts_->handshaker.strangers(); }

std::array<std::uint8_t, 12> Engine::timestamp_floor() const { return parts_->handshaker.timestamp_floor(); }
const Key& Engine::public_key() const { return parts_->handshaker.identity().public_key; }
Port Engine::port() const { return parts_->state.sockets.port(); }

std::vector<Counter> Engine::counters() const {
  const auto& counters = parts_->state.counters;
  std::vector<Counter> all{{"tun_malformed", counters.tun_malformed},
                           {"no_route", counters.no_route},
                           {"no_endpoint", counters.no_endpoint},
                           {"staged_dropped", counters.staged_dropped},
                           {"lease_ended", counters.lease_ended},
                           {"send_failed", counters.send_failed},
                           {"too_long", counters.too_long},
                           {"datagram_malformed", counters.datagram_malformed},
                           {"unknown_session", counters.unknown_session},
                           {"session_expired", counters.session_expired},
                           {"not_authentic", counters.not_authentic},
                           {"replayed", counters.replayed},
                           {"packet_malformed", counters.packet_malformed},
                           {"wrong_source", counters.wrong_source},
                           {"not_admitted", counters.not_admitted},
                           {"tun_write_failed", counters.tun_write_failed},
                           {"handshake_queue_full", counters.handshake_queue_full},
                           {"handshake_dropped", counters.handshake_dropped},
                           {"cookies_sent", counters.cookies_sent},
                           {"udp_gso_given_up", counters.udp_gso_given_up},
                           {"tun_tso_given_up", counters.tun_tso_given_up},
                           {"tun_uso_given_up", counters.tun_uso_given_up}};
  for (std::size_t reason = 0; reason < counters.handshake_dropped_for.size(); ++reason)
    all.push_back({"handshake_dropped_" + std::string(to_string(static_cast<protocol::wireguard::DropReason>(reason))),
                   counters.handshake_dropped_for[reason]});
  return all;
}

}  // namespace drpf::tunnel::wireguard
