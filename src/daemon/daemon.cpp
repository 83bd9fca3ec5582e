#include "daemon/daemon.h"

#include <spdlog/logger.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>

#include "core/encoding.h"
#include "daemon/confinement.h"
#include "daemon/host_check.h"
#include "daemon/listener_warnings.h"
#include "daemon/machine_note.h"
#include "daemon/prove_configuration.h"
#include "daemon/ruleset_for.h"
#include "daemon/ssh_ports.h"
#include "system/nft_program.h"
#include "system/service_notification.h"
#include "system/sysctl.h"
#include "tunnel/wireguard_devices/wireguard_way_in.h"

namespace drpf::daemon {
namespace {

constexpr std::string_view state_of_another_machine =
    "this state was used on another machine before: if a gateway runs there with it, both take each other's devices, so end that one";

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::build(const RunOptions& options, std::shared_ptr<spdlog::logger> log) {
  std::unique_ptr<Daemon> daemon(new Daemon(options, std::move(log)));
  // First the file, then what others could be harmed by: each step leaves everything closed if the next one fails.
  for (const auto step : {&Daemon::read_configuration, &Daemon::confine, &Daemon::open_store, &Daemon::take_ports, &Daemon::start_redirect,
                          &Daemon::start_ways_in, &Daemon::open_gateway, &Daemon::open_doors})
    if (auto done = ((*daemon).*step)(); !done) return fail(done.error());
  return daemon;
}

Daemon::~Daemon() {
  self_repair_.reset();
  watches_.clear();
  nft_watch_.cancel();
  tunnel_doors_.reset();
  admin_server_.reset();
  if (redirect_) redirect_->when_settled({});
}

Status Daemon::read_configuration() {
  ssh_ports_ = ssh_ports();
  machine_mark_ = machine_mark();
  const auto configuration = load_configuration(options_.config_file, ssh_ports_);
  if (!configuration) return fail(configuration.error());
  auto network = system::LinksAndRoutes::open();
  if (!network) return fail(network.error());
  network_ = std::make_unique<system::LinksAndRoutes>(std::move(*network));
  auto proven = prove_configuration(*configuration, *network_, false);
  if (!proven) return fail(proven.error());
  setup_ = std::move(*proven);
  for (const auto& found : setup_.hosts)
    log_->info("public host {}: {}{}{}", found.host.name, found.host.v4 ? to_string(*found.host.v4) : "no IPv4",
               found.host.v6 ? " and " + to_string(*found.host.v6) : "", ", leased ports " + to_string(setup_.configuration.pool));
  return {};
}

Status Daemon::confine() {
  if (!setup_.configuration.proxy.listen.empty()) {
    auto settings = setup_.configuration.proxy;
    settings.allow = setup_.proxy_sources;
    auto started = proxy::start_beside(settings, {}, *log_);
    if (!started) return fail(started.error());
    proxy_ = std::move(*started);
  }
  return daemon::confine(setup_.configuration, options_, *log_, openvpn_program_);
}

Status Daemon::open_store() {
  auto store = store::sqlite::SqliteStore::open(options_.state_directory);
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  log_repairs_of_store();
  if (machine_mark_) {
    const auto elsewhere = was_elsewhere(options_.state_directory, *machine_mark_);
    came_from_elsewhere_ = elsewhere.value_or(false);
    if (came_from_elsewhere_) log_->warn("{}", state_of_another_machine);
  }

  const auto known = store_->load_wireguard_identity();
  auto identity = tunnel::wireguard_devices::gateway_identity(*store_, random_);
  if (!identity) return fail(identity.error());
  identity_ = *identity;
  if (known && !*known)
    log_->warn("this gateway begins with an empty book and a key of its own, {}: devices of another gateway need new configurations",
               to_base64(crypto::x25519_public(identity_.private_key)));

  if (auto found = find_own_prefix(known && *known); !found) return found;
  const bool may_end_leases = options_.end_leases || setup_.configuration.changes_may_end_leases;
  auto book = gateway::load_book(*store_, setup_.policy(), {system::boot_id(), clock_.now(), clock_.wall_now()},
                                 may_end_leases ? gateway::OnLosses::accept : gateway::OnLosses::refuse, *log_);
  if (!book) return fail(book.error());
  loaded_book_ = std::make_unique<lease::LeaseBook>(std::move(*book));
  return {};
}

Status Daemon::find_own_prefix(bool is_older) {
  std::vector<lease::Device> devices;
  if (is_older) {
    auto state = store_->load({system::boot_id(), clock_.now(), clock_.wall_now()});
    if (!state) return fail(state.error());
    devices = std::move(state->devices);
  }
  own_tunnel_v6_ = unnamed_tunnel_v6(crypto::x25519_public(identity_.private_key), devices);
  if (!setup_.configuration.tunnel_v6_named) setup_.configuration.tunnel_v6 = own_tunnel_v6_;
  return {};
}

Status Daemon::take_ports() {
  if (auto written = system::write_ephemeral_ports(setup_.configuration.ephemeral); !written) return written;
  warn_of_listeners(setup_, *loaded_book_, *log_);
  return {};
}

Status Daemon::start_redirect() {
  // When the tunnel device is gone (a crash), packets to devices must not leave by the default route.
  using Carries = TunnelInterface::Carries;
  for (const auto& interface : tunnel_interfaces(setup_.configuration))
    tunnel_interfaces_.emplace_back(interface, setup_.configuration.tunnel_v4, setup_.configuration.tunnel_v6,
                                    tunnel_interfaces_.empty() ? Carries::whole_prefixes : Carries::devices_led_here);
  for (const auto& interface : tunnel_interfaces_)
    if (auto put = interface.put_blackholes(*network_); !put) return put;
  redirect::NftRedirect::Options options;
  options.use_ownership = !options_.plain_table;
  auto redirect = redirect::NftRedirect::start(ruleset_for(setup_), loaded_book_->redirections(), clock_.now(), options);
  if (!redirect) return fail(redirect.error());
  redirect_ = std::move(*redirect);
  for (const auto& interface : tunnel_interfaces_)
    if (auto removed = interface.remove_other_blackholes(*network_); !removed) return removed;
  if (!redirect_->owns_table())
    log_->warn(
        "this kernel cannot keep others from changing our table (Linux 6.9 can); it is restored when an event tells, and looked at every "
        "{} s",
        std::chrono::duration_cast<std::chrono::seconds>(repair::HostWatch::interval).count());
  return {};
}

Status Daemon::start_ways_in() {
  const auto on_event = [this](tunnel::WayIn& way_in, const tunnel::DeviceEvent& event) {
    if (gateway_) gateway_->on_tunnel_event(way_in, event);
  };
  const auto on_failed = [this](const Error& error) {
    log_->critical("the tunnel has failed: {}", error.message);
    failed_ = true;
    loop_.stop();
  };
  const auto shut_out = [this](std::span<const Address> inside, const std::string& interface) {
    return redirect_->dismiss(inside, interface);
  };
  const auto on_openvpn_trouble = [this](std::optional<std::string> trouble) {
    if (gateway_) gateway_->set_condition("openvpn", std::move(trouble));
  };
  auto started = daemon::start_ways_in({setup_.configuration, *store_, identity_, *network_, tunnel_interfaces_, loop_, clock_, random_,
                                        log_, openvpn_program_.get(), openvpn_daemon_, shut_out, on_openvpn_trouble, on_event, on_failed});
  if (!started) return fail(started.error());
  ways_in_ = std::move(*started);
  return {};
}

// Without a history there is a gateway all the same, but it says so.
void Daemon::open_history() {
  if (setup_.configuration.history > Duration::zero()) {
    auto history = store::sqlite::SqliteLeaseHistory::open(options_.state_directory);
    if (history) {
      history_ = std::move(*history);
      return;
    }
    log_->error("no history of leases is kept, `drpf who` knows nothing: {}", history.error().message);
    return;
  }
  std::error_code ignored;
  for (const auto* suffix : {"", "-wal", "-journal"})
    std::filesystem::remove(
        std::filesystem::path(options_.state_directory) / (std::string(store::sqlite::SqliteLeaseHistory::file_name) + suffix), ignored);
}

// A disk that was full at the start has room by now.
void Daemon::retry_history() {
  if (history_ || setup_.configuration.history <= Duration::zero()) return;
  auto history = store::sqlite::SqliteLeaseHistory::open(options_.state_directory);
  if (!history) return;
  history_ = std::move(*history);
  gateway_->keep_history(*history_);
  gateway_->set_condition("history", std::nullopt);
  log_->info("the history of leases is kept from now on");
}

Status Daemon::open_gateway() {
  open_history();
  std::vector<tunnel::WayIn*> ways_in;
  for (const auto& way_in : ways_in_) ways_in.push_back(way_in.get());
  auto gateway = gateway::Gateway::open(
      setup_.configuration, std::move(*loaded_book_),
      gateway::Parts{*store_, *redirect_, std::move(ways_in), clock_, log_, system::boot_id(), [this] { return host_findings_->look(); },
                     [this](const lease::Device& device) { return add_gateway_address(device); }, [this] { return store_->image(); },
                     [this] { return store_->warning(); }, history_.get()});
  if (!gateway) return fail(gateway.error());
  gateway_ = std::move(*gateway);
  host_findings_ = std::make_unique<HostFindings>(*gateway_, [this] { return check_host(setup_.configuration, setup_.hosts, true); }, log_);
  if (setup_.configuration.history > Duration::zero() && !history_)
    gateway_->set_condition("history", "no history of leases is kept; the log says why");
  if (came_from_elsewhere_) gateway_->set_condition("machine", std::string(state_of_another_machine));
  loaded_book_.reset();
  // Posted: the leases follow the addresses in this turn of the loop, and what is told is where they are.
  const auto announce = [this] {
    loop_.post([this] {
      if (tunnel_doors_) tunnel_doors_->announce_addresses();
    });
  };
  host_ = std::make_unique<GatewayHost>(
      GatewayHost::Parts{options_.config_file, ssh_ports_, own_tunnel_v6_, *gateway_, *network_, *redirect_, log_, announce});
  reconfiguration_ = std::make_unique<gateway::Reconfiguration>(gateway::Reconfiguration::Parts{*gateway_, *host_, setup_, clock_, log_});
  return {};
}

// The gateway answers at x.y.z.1 of each device's own /24: without a next hop in WireGuard, programs guess it there.
Status Daemon::add_gateway_address(const lease::Device& device) {
  const auto address = configuration::gateway_address_for(device.tunnel_v4);
  if (address == setup_.configuration.tunnel_v4.nth(1)) return {};
  for (auto& interface : tunnel_interfaces_)
    if (auto added = interface.add_address(address, address.bits(), *network_); !added) return added;
  return {};
}

Status Daemon::open_doors() {
  held_answers_ = std::make_unique<HeldAnswers>(loop_, clock_, [this](api::Settling settling) { return redirect_->settled(settling); });
  const auto hold = [this](api::Settling settling, std::function<void()> answer) { held_answers_->hold(settling, std::move(answer)); };
  redirect_->when_settled([this] { loop_.post([this] { held_answers_->release(); }); });
  const auto audit = [this](api::Weight weight, const std::string& sentence) {
    log_->log(weight == api::Weight::act ? spdlog::level::info : spdlog::level::debug, "audit: {}", sentence);
  };
  admin_api_ = std::make_unique<api::AdminApi>(*gateway_, hold, audit);
  device_api_ = std::make_unique<api::DeviceApi>(*gateway_, hold, audit);
  net::HttpLimits limits;
  limits.body_bytes = setup_.configuration.limits.api_body_max;
  limits.connections = setup_.configuration.limits.api_connections_max;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(options_.socket_path).parent_path(), error);
  auto admin = net::HttpServer::listen_unix(
      loop_, options_.socket_path,
      [this](const net::Request& request, const net::Respond& respond) { admin_api_->handle(request, respond); }, limits);
  if (!admin) return fail(admin.error());
  admin_server_ = std::move(*admin);

  port_mappings_ = std::make_unique<gateway::PortMappings>(*gateway_, log_, hold);
  tunnel_doors_ = std::make_unique<TunnelDoors>(
      setup_.configuration,
      TunnelDoors::Parts{*gateway_, *port_mappings_, *device_api_, loop_, log_, crypto::x25519_public(identity_.private_key), limits});
  if (auto opened = tunnel_doors_->open(); !opened) return opened;

  probe_interface_ = std::make_unique<ProbeInterface>(setup_.configuration.tunnel_v6.has_value());
  auto doctor = PortDoctor::start({*gateway_, *redirect_, *network_, *probe_interface_, loop_, clock_, random_, log_});
  if (!doctor) return fail(doctor.error());
  port_doctor_ = std::move(*doctor);
  gateway_->set_port_doctor(
      [this](const api::LeaseTest& test, api::Service::LeaseTested done) { port_doctor_->test(test, std::move(done)); });

  if (setup_.configuration.audit_every > Duration::zero()) {
    lease_audit_ = std::make_unique<LeaseAudit>(LeaseAudit::Parts{
        *gateway_, loop_, log_, options_.state_directory, [this](auto warning) { gateway_->set_condition("audit", std::move(warning)); }});
    watches_.push_back(loop_.every(setup_.configuration.audit_every, [this] { lease_audit_->begin(); }));
  }

  watches_.push_back(loop_.every(tick_interval, [this] { gateway_->tick(); }));
  auto self_repair =
      SelfRepair::start({*redirect_, *network_, tunnel_interfaces_, *port_doctor_, *gateway_, loop_, clock_, log_,
                         [this] { return reconfiguration_->follow_hosts(); }, [this](bool moved) { return tunnel_doors_->reopen(moved); }});
  if (!self_repair) return fail(self_repair.error());
  self_repair_ = std::move(*self_repair);
  gateway_->set_reload([this](const api::ReloadOptions& options) { return reload(options); });
  gateway_->set_repair_report([this] { return self_repair_->report(); });
  watches_.push_back(loop_.every(gauge_interval, [this] { gauge_connection_table(); }));
  share_watch_ = std::make_unique<ShareWatch>(*redirect_, *gateway_, log_);
  watches_.push_back(loop_.every(gauge_interval, [this] { share_watch_->look(); }));
  watches_.push_back(loop_.every(save_interval, [this] { save(); }));
  watches_.push_back(loop_.every(save_interval, [this] { retry_history(); }));
  watches_.push_back(loop_.every(save_interval, [this] { reconfiguration_->mend(); }));
  watches_.push_back(loop_.every(forget_interval, [this] { gateway_->forget_history(); }));
  if (const auto interval = system::watchdog_interval())
    watches_.push_back(loop_.every(*interval, [] { system::notify_service_manager("WATCHDOG=1"); }));
  (void)host_findings_->look();
  watches_.push_back(loop_.every(HostFindings::interval, [this] { (void)host_findings_->look(); }));
  for (const int signal : {SIGINT, SIGTERM}) watches_.push_back(loop_.on_signal(signal, [this] { loop_.stop(); }));
  watches_.push_back(loop_.on_signal(SIGHUP, [this] { reload_soon(); }));
  if (const int news = system::nft_process_news(); news >= 0) nft_watch_ = loop_.watch_readable(news, [this] { look_after_nft(); });
  return {};
}

void Daemon::look_after_nft() {
  const auto found = system::look_after_nft();
  if (found == system::NftProcess::replaced) log_->warn("the process that runs nft for the gateway has ended, and another one was started");
  if (found != system::NftProcess::lost) return;
  nft_watch_.cancel();
  constexpr auto what =
      "the process that runs nft for the gateway was killed together with its supervisor: the rules that stand go on standing, and can "
      "neither be changed nor put back; restart the gateway: leases and open connections stay";
  log_->error("{}", what);
  gateway_->set_condition("nft", what);
}

bool Daemon::serve() {
  log_->info("READY: WireGuard on UDP port {}, administration at {}", to_string(setup_.configuration.wireguard_port), options_.socket_path);
  system::notify_service_manager("READY=1\nSTATUS=serving");
  if (const auto confined = confine_further(); !confined) {
    log_->critical("{}", confined.error().message);
    return false;
  }
  loop_.run();
  system::notify_service_manager("STOPPING=1");
  save();
  log_->info("stopped; leases stay in the kernel until they end, and nothing is forwarded without the tunnel");
  return !failed_;
}

void Daemon::log_repairs_of_store() {
  for (const auto& repairs = store_->repairs(); store_repairs_logged_ < repairs.size(); ++store_repairs_logged_)
    log_->warn("{}", repairs[store_repairs_logged_]);
}

void Daemon::save() {
  (void)gateway_->save_tunnel_state();  // what fails is logged, and tried again
  log_repairs_of_store();
  gateway_->tell_refusals();
}

// When the table is full, the kernel takes no new connection of anybody: said before.
void Daemon::gauge_connection_table() {
  const auto read = [](std::string_view name) -> std::uint64_t {
    const auto text = system::read_sysctl(name);
    std::uint64_t value = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
  };
  using Change = ConnectionTableGauge::Change;
  const auto entries = read("net.netfilter.nf_conntrack_count");
  const auto entries_max = read("net.netfilter.nf_conntrack_max");
  const auto change = connection_table_.look(entries, entries_max, setup_.configuration.limits.connection_table_alarm);
  if (change == Change::lowered) log_->info("the connection table is no longer near its end: {} of {}", entries, entries_max);
  if (change == Change::raised)
    log_->error(
        "the connection table is {} % full ({} of {}); when it is full, nobody's new connections pass. Raise "
        "net.netfilter.nf_conntrack_max, or lower [limits] connections_per_device",
        entries * 100 / entries_max, entries, entries_max);
  if (!connection_table_.raised())
    gateway_->set_condition("connection table", std::nullopt);
  else
    gateway_->set_condition("connection table",
                            fmt::format("the connection table holds {} of {} connections; when it is full, nobody's new "
                                        "ones pass: raise net.netfilter.nf_conntrack_max",
                                        entries, entries_max));
}

Result<std::vector<std::string>> Daemon::reload(const api::ReloadOptions& options) {
  system::notify_service_manager("RELOADING=1");
  auto changed = reconfiguration_->reload(options);
  self_repair_->forget_authors();
  system::notify_service_manager("READY=1");
  return changed;
}

// Whoever sends signals faster than files can be read is answered for all of them together.
void Daemon::reload_soon() {
  if (reload_timer_.active()) return;
  const auto rest = reloaded_ ? *reloaded_ + reload_rest - clock_.now() : Duration::zero();
  reload_timer_ = loop_.after(std::max(rest, Duration::zero()), [this] {
    reload_timer_.cancel();
    (void)reload({});
    reloaded_ = clock_.now();
  });
}

}  // namespace drpf::daemon
