#include "client/connect/connection.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "client/connect/embedded_tunnel.h"
#include "client/connect/endpoint_choice.h"
#include "system/service_notification.h"
#include "system/whole_file.h"

namespace drpf::client {
namespace {

constexpr std::size_t told_lookups_max = 64;

Duration monotonic_now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::string mode_text(const RoutePlan& plan, bool inbound_only) {
  if (inbound_only) return "inbound only; the machine's own traffic stays outside";
  if (plan.full_tunnel) return plan.kill_switch ? "full tunnel, kill switch on" : "full tunnel, kill switch off";
  return "split tunnel";
}

}  // namespace

Connection::Connection(const ConnectOptions& options, protocol::wireguard::WgQuickFile file, RoutePlan plan, Screen& screen,
                       std::string note_path, std::optional<ProgramWatch> programs)
    : options_(options),
      file_(std::move(file)),
      plan_(std::move(plan)),
      screen_(screen),
      routing_(plan_.interface, note_path),
      share_note_path_(share_note_path(note_path)),
      word_path_(word_path(note_path)),
      name_servers_(plan_.interface),
      endpoints_(file_.peers.size()),
      programs_(std::move(programs)) {}

std::optional<Error> Connection::run() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) watches_.push_back(loop_.on_signal(number, [this] { loop_.stop(); }));
  OutsideResolver outside;
  outside.servers = present_name_servers();
  outside.mark = plan_.engine_mark;
  outside.asked = [this](const Address& server, const std::string& name) {
    if (told_lookups_.size() < told_lookups_max && told_lookups_.insert(fmt::format("{} {}", to_string(server), name)).second)
      screen_.note(fmt::format("{} is looked up at {}, outside of the tunnel", name, to_string(server)));
  };
  outside_servers_ = outside.servers;
  lookup_.emplace(loop_, std::move(outside));
  if (auto closed = close_first(); !closed) {
    end_with(closed.error());
    take_down();
    return ended_with_;
  }
  start_hooks();
  start_informers();
  publish(std::nullopt, {});  // files of yesterday must not be taken for today's
  write_status_file(ConnectionState::connecting);
  leave(fmt::format("looking up {}", gateway_peer().endpoint->host));
  look_up_gateway();
  loop_.run();
  take_down();
  return ended_with_;
}

void Connection::start_hooks() {
  if (!options_.hooks.any()) return;
  hook_ = std::make_unique<ChangeHook>(loop_, [this](const std::string& text) { screen_.note(text); });
}

std::vector<Address> Connection::own_addresses() const {
  std::vector<Address> own;
  for (const auto& address : plan_.addresses) own.push_back(address.address);
  return own;
}

void Connection::start_informers() {
  told_of_no_port_.resize(options_.inform.size());
  const auto own = own_addresses();
  for (const auto& wish : options_.inform) {
    Informer::Listener listener;
    listener.informed = [this, name = wish.name()](Port port) { screen_.informed(name, port, clock_.wall_now()); };
    listener.failed = [this](const Error& error) { screen_.error(error); };
    Informer::IsListening is_listening;
    if (is_here(wish)) is_listening = [own, name = plan_.interface](Port port) { return somebody_listens(name, own, port); };
    informers_.push_back(std::make_unique<Informer>(
        loop_, [this, wish](DoorOpened opened) { return open_door(loop_, wish, std::move(opened)); }, std::move(is_listening),
        std::move(listener)));
  }
}

void Connection::end_with(Error error) {
  if (!ended_with_) ended_with_ = std::move(error);
  loop_.stop();
}

// ---- up

void Connection::find(const protocol::wireguard::PeerHost& host, std::function<void(Result<std::vector<Endpoint>>)> done) {
  lookup_->find(host, [this, host, done = std::move(done)](const Result<std::vector<Endpoint>>& found) {
    done(found ? usable_endpoints(host, *found, plan_, addresses_of_this_machine()) : found);
  });
}

void Connection::look_up_gateway() {
  find(*gateway_peer().endpoint, [this](const Result<std::vector<Endpoint>>& found) {
    if (found) return gateway_found(*found);
    leave(found.error().message);
    screen_.note(fmt::format("{}; trying again in {} s", found.error().message,
                             std::chrono::duration_cast<std::chrono::seconds>(lookup_pause_).count()));
    lookup_timer_ = loop_.after(lookup_pause_, [this] { look_up_gateway(); });
    lookup_pause_ = std::min(lookup_pause_ * 2, lookup_pause_max);
  });
}

void Connection::gateway_found(const std::vector<Endpoint>& endpoints) {
  endpoints_.front() = endpoints.front();
  if (const auto status = bring_up(); !status) return end_with(status.error());
  look_up_others();
}

// Peers beside the gateway: they join when their names are known, and hold nothing up.
void Connection::look_up_others() {
  for (std::size_t peer = 1; peer < file_.peers.size(); ++peer) {
    if (!file_.peers[peer].endpoint) {
      if (const auto status = tunnel_->add_peer(peer_config(peer)); !status) screen_.error(status.error());
      continue;
    }
    find(*file_.peers[peer].endpoint, [this, peer](const Result<std::vector<Endpoint>>& found) {
      if (!found) return screen_.note(found.error().message);
      use_endpoint(peer, found->front());
    });
  }
}

Status Connection::bring_up() {
  TunnelWish wish;
  wish.interface = plan_.interface;
  wish.mtu = plan_.mtu;
  wish.mark = plan_.engine_mark;
  wish.listen_port = file_.listen_port;
  wish.private_key = file_.private_key;
  auto tunnel = start_tunnel(wish, random_, clock_,
                             [this](tunnel::Event event) { loop_.post([this, event = std::move(event)] { on_tunnel_event(event); }); });
  if (!tunnel) return fail(tunnel.error());
  tunnel_ = std::move(tunnel->tunnel);
  if (auto there = routing_.interface_is_there(std::move(tunnel->make_interface_again)); !there) return there;
  if (auto applied = routing_.apply(plan_); !applied) return fail(applied.error());
  if (!file_.dns.empty()) {
    const auto status = name_servers_.set(file_.dns, file_.dns_search, plan_.full_tunnel);
    name_servers_set_ = status.has_value();
    if (!status) screen_.note(fmt::format("{}. {}", status.error().message, status.error().cure));
  }
  tell_of_lookups_outside();
  if (auto status = tunnel_->add_peer(peer_config(0)); !status) return status;

  Started started;
  started.interface = plan_.interface;
  for (const auto& address : plan_.addresses) started.addresses.push_back(to_string(address.address));
  started.endpoint = to_string(*endpoints_.front());
  started.mode = mode_text(plan_, options_.inbound_only);
  screen_.started(started, clock_.wall_now());

  outer_source_ = source_towards(*endpoints_.front(), plan_.engine_mark);
  contact_.tried(clock_.now());
  leave(fmt::format("connecting to {}", to_string(*endpoints_.front())));
  tunnel_->initiate(gateway_peer().public_key);
  watches_.push_back(loop_.every(tick, [this] { on_tick(); }));
  return {};
}

// Private networks stay reachable beside a full tunnel, and the resolver of the network at hand is in one of them.
void Connection::tell_of_lookups_outside() {
  if (!plan_.full_tunnel || name_servers_set_) return;
  for (const auto& server : outside_servers_)
    if (!server.is_loopback() && stays_outside(server))
      screen_.note(
          fmt::format("names are looked up at {}, outside of the tunnel: who runs it learns every name that this machine asks for. "
                      "A file with DNS = ... has them looked up through the tunnel",
                      to_string(server)));
}

std::optional<GatewayDoor> Connection::door() const {
  const auto gateway = gateway_address(file_);
  if (!gateway) return std::nullopt;
  for (const auto& own : file_.addresses) {
    if (own.address.is_v4()) return GatewayDoor{*gateway, own.address, plan_.interface};
  }
  return std::nullopt;
}

void Connection::start_watch() {
  const auto where = door();
  if (!where) return screen_.note("the file gives this device no IPv4 tunnel address: its ports cannot be asked for");
  GatewayWatch::Listener listener;
  listener.report = [this](Report report) { on_report(std::move(report)); };
  listener.lost = [this](const Error& error) { on_gateway_lost(error); };
  watch_ = std::make_unique<GatewayWatch>(loop_, *where, std::move(listener));
  if (options_.share) start_share(*where);
  if (!programs_) return;
  follower_ = std::make_unique<Follower>(loop_, clock_, screen_, options_.follow, *where, own_addresses());
  follower_->watch(*programs_);
}

void Connection::start_share(const GatewayDoor& where) {
  LanShareSettings settings;
  settings.lan = *options_.share;
  settings.gateway = where;
  const auto key = crypto::x25519_public(file_.private_key.bytes());
  std::copy_n(key.begin(), settings.identity.size(), settings.identity.begin());
  settings.note_path = share_note_path_;
  settings.outer_source = [this] { return outer_source_; };
  settings.is_in_use = [own = own_addresses(), name = plan_.interface](Port port) { return is_served(name, own, port).value_or(false); };
  share_ = std::make_unique<LanShare>(loop_, clock_, screen_, std::move(settings));
}

std::vector<PublishedPort> Connection::own_ports(const std::vector<PublishedPort>& ports) const {
  auto own = ports;
  if (share_) std::erase_if(own, [](const auto& port) { return relay_ports.contains(port.local_port); });
  return own;
}

tunnel::PeerConfig Connection::peer_config(std::size_t peer) const {
  const auto& from = file_.peers[peer];
  tunnel::PeerConfig config;
  config.public_key = from.public_key;
  config.preshared_key = from.preshared_key.bytes();
  config.allowed_ips = from.allowed_ips;
  config.endpoint = endpoints_[peer];
  config.keepalive_s = from.keepalive_s;
  return config;
}

// ---- what happens

void Connection::on_tunnel_event(const tunnel::Event& event) {
  if (!tunnel_ || leaving_) return;
  const auto is_gateway = [this](const tunnel::Key& key) { return key == gateway_peer().public_key; };
  if (const auto* connected = std::get_if<tunnel::PeerConnected>(&event)) {
    tunnel_->admit(connected->public_key, connected->endpoint.address);
    if (is_gateway(connected->public_key)) on_connected(connected->endpoint);
  } else if (const auto* roamed = std::get_if<tunnel::PeerRoamed>(&event)) {
    tunnel_->admit(roamed->public_key, roamed->endpoint.address);
  } else if (const auto* disconnected = std::get_if<tunnel::PeerDisconnected>(&event)) {
    if (is_gateway(disconnected->public_key)) on_disconnected();
  } else if (const auto* failed = std::get_if<tunnel::EngineFailed>(&event)) {
    end_with(failed->error);
  } else if (std::holds_alternative<tunnel::InterfaceGone>(event)) {
    host_watch_->look_soon();
  }
}

void Connection::on_connected(const Endpoint& endpoint) {
  connected_ = true;
  screen_.connected(to_string(endpoint), clock_.wall_now());
  leave(fmt::format("connected to {}", to_string(endpoint)));
  // Not earlier: a question asked before the tunnel stands would be lost, and TCP asks again only after a second.
  if (watch_)
    watch_->hurry();
  else
    start_watch();
}

// The gateway has given the ports up by now, as it heard nothing of us either.
void Connection::on_disconnected() {
  if (!connected_) return;
  connected_ = false;
  screen_.disconnected("nothing heard for 180 s", clock_.wall_now());
  leave("nothing was heard of the gateway for 180 s");
  let_in({});
  if (report_) {
    report_->ports.clear();
    screen_.ports(*report_, clock_.wall_now());
  }
  if (follower_) follower_->offline();
  if (share_) share_->offline();
  if (told_up_) publish(HookEvent::down, {});
  told_up_ = false;
  write_status_file(ConnectionState::disconnected);
  try_again();
}

void Connection::on_report(Report report) {
  contact_.answers(true);
  let_in(report.ports);
  if (share_) share_->reported(report);
  report.ports = own_ports(report.ports);
  report_ = std::move(report);
  screen_.ports(*report_, clock_.wall_now());
  const auto count = public_numbers(report_->ports).size();
  if (!told_up_ || report_->ports != published_) publish(told_up_ ? HookEvent::change : HookEvent::up, report_->ports);
  told_up_ = true;
  write_status_file(ConnectionState::connected);
  system::notify_service_manager(fmt::format("{}STATUS={} public ports", ready_ ? "" : "READY=1\n", count));
  if (!ready_) screen_.ready(count, clock_.wall_now());
  ready_ = true;
  if (follower_) follower_->reported(report_->ports);
}

void Connection::on_gateway_lost(const Error& error) {
  contact_.answers(false);
  if (follower_) follower_->offline();
  if (share_) share_->offline();
  screen_.disconnected(error.message, clock_.wall_now());
  write_status_file(ConnectionState::disconnected);
}

// Another network, another address: the gateway learns of it from the next authenticated packet, so send one now.
void Connection::on_network_change() {
  if (!tunnel_ || !endpoints_.front()) return;
  const auto source = source_towards(*endpoints_.front(), plan_.engine_mark);
  const bool changed = source != outer_source_;
  outer_source_ = source;
  if (!changed || !source) return;
  screen_.note(fmt::format("the way to the gateway is now from {}", to_string(*source)));
  show_where_we_are();
  if (watch_) watch_->hurry();
}

// An authenticated packet tells the gateway at once where we are, and a handshake proves that it heard: on_tick() repeats both until then.
void Connection::show_where_we_are() {
  contact_.moved(clock_.now());
  tunnel_->initiate(gateway_peer().public_key);
  if (const auto where = door()) send_sign_of_life(*where);
}

void Connection::on_tick() {
  if (follower_) follower_->tick();
  if (share_) share_->tick();
  const auto now = clock_.now();
  if (suspend_.observe(now.time_since_epoch(), monotonic_now())) {
    screen_.note("this machine slept; connecting again");
    show_where_we_are();
    if (watch_) watch_->restart();
    return;
  }
  const auto status = tunnel_->status(gateway_peer().public_key);
  const auto due = contact_.tick(now, status ? status->last_authenticated : std::nullopt);
  if (due.sign_of_life)
    if (const auto where = door()) send_sign_of_life(*where);
  if (due.handshake) tunnel_->initiate(gateway_peer().public_key);
  if (due.other_way) try_again();
}

void Connection::try_again() {
  contact_.tried(clock_.now());
  tunnel_->initiate(gateway_peer().public_key);
  if (lookup_out_) return;
  lookup_out_ = true;
  find(*gateway_peer().endpoint, [this](const Result<std::vector<Endpoint>>& found) {
    lookup_out_ = false;
    if (!found || contact_.answers()) return;
    const auto& next = (*found)[++attempt_ % found->size()];
    if (next != endpoints_.front()) use_endpoint(0, next);
  });
}

void Connection::use_endpoint(std::size_t peer, const Endpoint& endpoint) {
  if (!tunnel_) return;
  endpoints_[peer] = endpoint;
  if (const auto status = tunnel_->add_peer(peer_config(peer)); !status) return screen_.error(status.error());
  if (peer != 0) return;
  screen_.note(fmt::format("trying the gateway at {}", to_string(endpoint)));
  outer_source_ = source_towards(endpoint, plan_.engine_mark);
  tunnel_->initiate(gateway_peer().public_key);
  if (watch_) watch_->hurry();
}

void Connection::publish(std::optional<HookEvent> event, const std::vector<PublishedPort>& ports) {
  const auto before = std::exchange(published_, ports);
  remember_programs();
  if (options_.ports_file) {
    if (const auto status = system::replace_file(*options_.ports_file, ports_file_text(public_numbers(ports))); !status)
      screen_.error(status.error());
  }
  inform();
  if (!event || !hook_) return;
  for (auto& call : hook_calls(options_.hooks, *event, plan_.interface, before, ports, programs_by_port_)) hook_->tell(std::move(call));
}

// A port that ends does so because its program is gone: who that was is still known here.
void Connection::remember_programs() {
  if (!follower_) return;
  for (const auto& port : published_)
    if (auto program = follower_->program_at(port.local_port); !program.empty()) programs_by_port_[port.local_port] = std::move(program);
}

void Connection::write_status_file(ConnectionState state) {
  if (!options_.status_file) return;
  StatusFile file;
  file.interface = plan_.interface;
  file.state = state;
  if (report_) file.account = report_->account;
  if (report_) file.device = report_->device;
  file.ports = published_;
  if (const auto status = system::replace_file(*options_.status_file, status_file_text(file, clock_.wall_now())); !status)
    screen_.error(status.error());
}

void Connection::inform() {
  const auto numbers = same_numbers(published_);
  for (std::size_t i = 0; i < informers_.size(); ++i) {
    const auto& wish = options_.inform[i];
    const bool there = wish.which <= numbers.size();
    informers_[i]->tell(there ? std::optional(numbers[wish.which - 1]) : std::nullopt);
    if (!there && !published_.empty() && !told_of_no_port_[i]) {
      told_of_no_port_[i] = true;
      screen_.note(fmt::format("{} is told nothing: of the public ports, {} lead to the same number here, and it wants number {}",
                               wish.name(), numbers.size(), wish.which));
    }
  }
}

// ---- down

// What is waited for here runs the loop: nothing of what else comes by may set anything up again.
void Connection::take_down() {
  leaving_ = true;
  watch_.reset();
  lookup_.reset();
  lookup_timer_.cancel();
  watches_.clear();
  host_watch_.reset();
  if (tunnel_ && connected_ && contact_.answers()) {
    if (follower_) follower_->end();
    if (const auto where = door()) {
      if (const auto status = say_goodbye(*where); !status)
        screen_.note(fmt::format("the gateway did not hear the good-bye: {}", status.error().message));
    }
  }
  informers_.clear();
  follower_.reset();
  share_.reset();
  publish(told_up_ ? std::optional(HookEvent::down) : std::nullopt, {});
  write_status_file(ConnectionState::stopped);
  if (name_servers_set_) name_servers_.clear();
  // The tunnel goes before its routes: until the last of them is gone, the kill switch stands. Only who was asked to end it takes it away.
  tunnel_.reset();
  if (plan_.stays && (ended_with_ || options_.stay_closed)) {
    leave(ended_with_ ? "it ended: " + ended_with_->message : "it was ended and told to leave this closed");
  } else {
    if (const auto cleared = routing_.clear(); !cleared) screen_.error(cleared.error());
    forget_word(word_path_);
  }
  if (hook_) hook_->stop();
  if (!ended_with_) screen_.stopped(clock_.wall_now());
}

}  // namespace drpf::client
