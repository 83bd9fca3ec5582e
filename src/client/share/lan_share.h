// `drpf connect --share`: answers NAT-PMP, PCP and UPnP on one interface of this machine, and turns what the machines there ask into leases
// of the gateway. Opens when the interface is there, closes and ends every mapping when it goes. Lives on the loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/connect/gateway_door.h"
#include "client/ports/screen.h"
#include "client/share/lan_network.h"
#include "client/share/lan_redirect.h"
#include "client/share/relayed_mappings.h"
#include "client/share/upstream_leases.h"
#include "core/time.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "net/port_mapping_sockets.h"
#include "protocol/upnp/request_pace.h"
#include "protocol/upnp/server.h"

namespace drpf::client {

struct LanShareSettings {
  std::string lan;  // interface
  GatewayDoor gateway;
  protocol::upnp::Identity identity{};
  std::string note_path;
  std::function<std::optional<Address>()> outer_source;  // by which address this machine reaches the gateway
  std::function<bool(Port)> is_in_use;                   // by a server of this machine
};

class LanShare {
 public:
  LanShare(net::EventLoop& loop, const Clock& clock, Screen& screen, LanShareSettings settings);
  ~LanShare();
  LanShare(const LanShare&) = delete;
  LanShare& operator=(const LanShare&) = delete;

  void reported(const Report& report);
  void offline() { mappings_.offline(); }
  void tick();  // also when something of the network has changed

 private:
  // The kernel's side may fail to open; then nothing is redirected and each request fails.
  class Redirect final : public RelayRedirect {
   public:
    Status put(const RelayRedirection& redirection, Duration lifetime) override;
    Status remove(const RelayRedirection& redirection) override;
    std::optional<LanRedirect> kernel;
  };

  LanNetwork look() const;
  Status open();
  void keep();
  void close();
  void announce();
  void show(bool opened, const RelayLease& lease, const Endpoint& machine);

  net::EventLoop& loop_;
  const Clock& clock_;
  Screen& screen_;
  LanShareSettings settings_;
  Time started_;
  LanNetwork network_;
  std::optional<Address> external_v4_;
  bool is_open_ = false;
  std::string told_;  // the last trouble
  Redirect redirect_;
  UpstreamLeases upstream_;
  RelayedMappings mappings_;
  protocol::upnp::RequestPace pace_;
  protocol::upnp::Server upnp_;
  net::PortMappingSockets sockets_;
  net::UpnpSockets upnp_sockets_;
  std::unique_ptr<net::HttpServer> http_;
};

}  // namespace drpf::client
