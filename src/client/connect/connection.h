// The life of one connection: closed, up, watched, mended, told of, and down again. Everything runs on one thread; what the tunnel's
// threads say is posted.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/connect/closed_state.h"
#include "client/connect/connect_options.h"
#include "client/connect/endpoint_lookup.h"
#include "client/connect/gateway_contact.h"
#include "client/connect/gateway_door.h"
#include "client/connect/gateway_watch.h"
#include "client/connect/name_servers.h"
#include "client/connect/outer_path.h"
#include "client/connect/route_plan.h"
#include "client/connect/routing.h"
#include "client/connect/status_file.h"
#include "client/follow/follower.h"
#include "client/follow/program_watch.h"
#include "client/ports/change_hook.h"
#include "client/ports/hook_calls.h"
#include "client/ports/informer.h"
#include "client/ports/published_ports.h"
#include "client/ports/screen.h"
#include "client/share/lan_share.h"
#include "crypto/wireguard_primitives.h"
#include "net/event_loop.h"
#include "protocol/wireguard/wg_quick_file.h"
#include "repair/host_watch.h"
#include "system/boot_clock.h"
#include "tunnel/tunnel.h"

namespace drpf::client {

inline constexpr Duration tick = std::chrono::seconds(1);
inline constexpr Duration lookup_pause_max = std::chrono::seconds(30);

class Connection {
 public:
  // The lock is held by the caller. `programs`: none where nothing is followed.
  Connection(const ConnectOptions& options, protocol::wireguard::WgQuickFile file, RoutePlan plan, Screen& screen, std::string note_path,
             std::optional<ProgramWatch> programs);

  // Until a signal (none) or something that cannot be mended (the error). A signal takes down everything that was set up; after an error
  // what the plan says stays: the machine is as closed as it was.
  std::optional<Error> run();

 private:
  void look_up_gateway();
  void gateway_found(const std::vector<Endpoint>& endpoints);
  void look_up_others();
  void tell_of_lookups_outside();
  // Of what was found the addresses that can be a gateway's.
  void find(const protocol::wireguard::PeerHost& host, std::function<void(Result<std::vector<Endpoint>>)> done);
  Status bring_up();
  Status close_first();  // before anything is asked or sent
  void keep_network(repair::HostWatch::Occasion occasion);
  void keep_name_servers();
  void let_in(const std::vector<PublishedPort>& ports);  // visits to these and no others
  void leave(std::string_view word) const { leave_word(word_path_, word); }
  void start_watch();
  void start_share(const GatewayDoor& where);
  // Without those that lead to machines of the shared network.
  std::vector<PublishedPort> own_ports(const std::vector<PublishedPort>& ports) const;
  void take_down();

  void on_tunnel_event(const tunnel::Event& event);
  void on_connected(const Endpoint& endpoint);
  void on_disconnected();
  void on_report(Report report);
  void on_gateway_lost(const Error& error);
  void on_network_change();
  void on_tick();

  void show_where_we_are();
  void try_again();
  void use_endpoint(std::size_t peer, const Endpoint& endpoint);
  void start_hooks();
  void start_informers();
  std::vector<Address> own_addresses() const;
  // Writes the files, and tells the hooks and the informed programs where there is something to tell.
  void publish(std::optional<HookEvent> event, const std::vector<PublishedPort>& ports);
  void write_status_file(ConnectionState state);
  void inform();
  void remember_programs();
  void end_with(Error error);
  tunnel::PeerConfig peer_config(std::size_t peer) const;
  const protocol::wireguard::WgQuickPeer& gateway_peer() const { return file_.peers.front(); }
  std::optional<GatewayDoor> door() const;

  ConnectOptions options_;
  protocol::wireguard::WgQuickFile file_;
  RoutePlan plan_;
  Screen& screen_;
  system::SystemClock clock_;
  crypto::SystemRandom random_;
  net::EventLoop loop_;
  Routing routing_;
  std::string share_note_path_;
  std::string word_path_;
  std::unique_ptr<repair::HostWatch> host_watch_;
  NameServers name_servers_;
  bool name_servers_set_ = false;
  std::vector<Address> outside_servers_;  // that this machine asks without the tunnel
  std::set<std::string> told_lookups_;    // of the gateway's name, past the tunnel

  std::vector<std::optional<Endpoint>> endpoints_;  // of each peer, as last looked up
  std::size_t attempt_ = 0;                         // which of the gateway's addresses is tried
  Duration lookup_pause_ = std::chrono::seconds(1);
  GatewayContact contact_;
  std::optional<Address> outer_source_;
  SuspendDetector suspend_;

  bool connected_ = false;  // the gateway's packets authenticate
  bool ready_ = false;      // said so
  bool told_up_ = false;    // the hook's last word was up or change
  bool lookup_out_ = false;
  bool leaving_ = false;  // everything is being taken down
  std::vector<PublishedPort> published_;
  std::optional<Report> report_;
  ProgramsByPort programs_by_port_;
  std::optional<Error> ended_with_;

  std::unique_ptr<tunnel::Tunnel> tunnel_;
  std::unique_ptr<ChangeHook> hook_;
  std::vector<std::unique_ptr<Informer>> informers_;  // as options_.inform has them
  std::vector<bool> told_of_no_port_;                 // of each of them
  std::unique_ptr<GatewayWatch> watch_;
  std::optional<ProgramWatch> programs_;
  std::unique_ptr<Follower> follower_;
  std::unique_ptr<LanShare> share_;
  std::optional<EndpointLookup> lookup_;
  std::vector<net::Watch> watches_;
  net::Timer lookup_timer_;
};

}  // namespace drpf::client
