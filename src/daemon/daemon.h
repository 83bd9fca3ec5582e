// The running gateway: everything is built here once, top to bottom, and destroyed in reverse. It decides nothing about leases.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "api/admin_api.h"
#include "api/device_api.h"
#include "configuration/setup.h"
#include "core/result.h"
#include "crypto/wireguard_primitives.h"
#include "daemon/connection_table_gauge.h"
#include "daemon/gateway_host.h"
#include "daemon/held_answers.h"
#include "daemon/host_findings.h"
#include "daemon/lease_audit.h"
#include "daemon/port_doctor.h"
#include "daemon/probe_interface.h"
#include "daemon/run_options.h"
#include "daemon/self_repair.h"
#include "daemon/share_watch.h"
#include "daemon/tunnel_doors.h"
#include "daemon/tunnel_interface.h"
#include "daemon/ways_in.h"
#include "gateway/gateway.h"
#include "gateway/port_mappings.h"
#include "gateway/reconfiguration.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "proxy/run.h"
#include "redirect/nft_redirect.h"
#include "store/sqlite/sqlite_lease_history.h"
#include "store/sqlite/sqlite_store.h"
#include "system/boot_clock.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class Daemon {
 public:
  static constexpr Duration tick_interval = std::chrono::milliseconds(500);
  static constexpr Duration reload_rest = std::chrono::seconds(1);  // between two that signals ask for
  static constexpr Duration save_interval = std::chrono::seconds(5);
  static constexpr Duration gauge_interval = std::chrono::seconds(2);    // how full the connection table and the devices' shares are
  static constexpr Duration forget_interval = std::chrono::minutes(10);  // the old part of the history

  static Result<std::unique_ptr<Daemon>> build(const RunOptions& options, std::shared_ptr<spdlog::logger> log);
  ~Daemon();

  bool serve();  // until SIGINT or SIGTERM; false if the tunnel failed

 private:
  Daemon(RunOptions options, std::shared_ptr<spdlog::logger> log) : options_(std::move(options)), log_(std::move(log)) {}

  // The steps of the start, in this order. On any doubt nothing has been opened yet.
  Status read_configuration();
  Status confine();
  Status open_store();
  Status find_own_prefix(bool is_older);  // than this start
  Status take_ports();
  Status start_redirect();
  Status start_ways_in();
  Status open_gateway();
  Status open_doors();

  Status add_gateway_address(const lease::Device& device);
  Result<std::vector<std::string>> reload(const api::ReloadOptions& options);  // says which keys have changed
  void reload_soon();
  void open_history();
  void retry_history();
  void look_after_nft();
  void gauge_connection_table();
  void save();
  void log_repairs_of_store();

  RunOptions options_;
  std::shared_ptr<spdlog::logger> log_;
  system::SystemClock clock_;
  crypto::SystemRandom random_;
  configuration::Setup setup_;
  Prefix own_tunnel_v6_;  // where the file names none
  std::optional<std::string> machine_mark_;
  bool came_from_elsewhere_ = false;
  std::vector<Port> ssh_ports_;              // read while every file can be
  std::optional<proxy::ProxyBeside> proxy_;  // a process of its own, if there is one
  std::unique_ptr<system::LinksAndRoutes> network_;
  std::vector<TunnelInterface> tunnel_interfaces_;
  std::unique_ptr<ProbeInterface> probe_interface_;
  std::unique_ptr<store::sqlite::SqliteStore> store_;
  store::WireGuardIdentity identity_;
  std::unique_ptr<lease::LeaseBook> loaded_book_;  // between open_store() and open_gateway()
  std::unique_ptr<store::LeaseHistory> history_;
  ConnectionTableGauge connection_table_;
  std::unique_ptr<redirect::NftRedirect> redirect_;
  net::EventLoop loop_;
  std::unique_ptr<system::OpenVpnProgram> openvpn_program_;
  std::vector<std::unique_ptr<tunnel::WayIn>> ways_in_;
  std::unique_ptr<OpenVpnDaemon> openvpn_daemon_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<GatewayHost> host_;
  std::unique_ptr<HostFindings> host_findings_;
  std::unique_ptr<gateway::Reconfiguration> reconfiguration_;
  std::unique_ptr<HeldAnswers> held_answers_;
  std::unique_ptr<gateway::PortMappings> port_mappings_;
  std::unique_ptr<PortDoctor> port_doctor_;
  std::unique_ptr<LeaseAudit> lease_audit_;
  std::unique_ptr<ShareWatch> share_watch_;
  std::unique_ptr<api::AdminApi> admin_api_;
  std::unique_ptr<api::DeviceApi> device_api_;
  std::unique_ptr<TunnelDoors> tunnel_doors_;
  std::unique_ptr<net::HttpServer> admin_server_;
  net::Watch nft_watch_;
  net::Timer reload_timer_;
  std::optional<Time> reloaded_;  // by a signal
  std::vector<net::Watch> watches_;
  std::unique_ptr<SelfRepair> self_repair_;
  std::size_t store_repairs_logged_ = 0;
  bool failed_ = false;
};

}  // namespace drpf::daemon
