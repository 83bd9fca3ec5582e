// OpenVPN as a way in: knows which certificate is which device's, answers the daemon's questions about clients, and follows who is there.
// The daemon is somebody else's program; its management stream is handed in as bytes, and what this host must do is asked of Host.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/fwd.h>

#include "core/time.h"
#include "protocol/openvpn/management.h"
#include "store/credentials.h"
#include "tunnel/openvpn/openvpn_files.h"
#include "tunnel/way_in.h"

namespace drpf::tunnel::openvpn {

// The authority and the server's certificate; made where the store has none, renewed long before they end.
Result<store::OpenVpnIdentity> gateway_identity(store::OpenVpnCredentials& store, WallTime now);

class OpenVpnWayIn final : public WayIn {
 public:
  static constexpr std::string_view kind_name = "openvpn";
  // A daemon that has ended is started again, and its clients come back: until then they are away for nobody.
  static constexpr Duration return_max = std::chrono::seconds(60);

  struct Host {
    std::function<Status(const Prefix&)> lead_here;          // packets for this device go to our interface
    std::function<Status(const Prefix&)> lead_away;          // and no more
    std::function<Status(const std::vector<Prefix>&)> shut;  // nothing from these devices passes from our interface until they are admitted
    std::function<void()> drain;                             // returns when the daemon has taken what was queued at our interface
  };
  struct Parts {
    store::OpenVpnCredentials& store;
    const Clock& clock;
    std::shared_ptr<spdlog::logger> log;
    Host host;
    std::function<void(const DeviceEvent&)> on_event;  // not called before the call that brings it about has returned
  };

  static Result<std::unique_ptr<OpenVpnWayIn>> open(Settings settings, Parts parts);

  void tells(std::function<void(const DeviceEvent&)> on_event) { parts_.on_event = std::move(on_event); }

  // --- the daemon
  std::string server_configuration() const { return openvpn::server_configuration(settings_, identity_); }
  void daemon_began(std::function<void(const std::string&)> send);  // its management stream is there; what is sent is a whole command
  bool received(std::string_view bytes);  // false: what it says cannot be understood, and it is to be started again
  void daemon_ended();
  void poll();                                                   // every few seconds: where clients are, and who did not come back
  const std::string& last_fatal() const { return last_fatal_; }  // what the daemon ended with, if it said so
  void version(std::string text) { engine_ = std::move(text); }

  std::string_view kind() const override { return kind_name; }
  std::string_view engine() const override { return engine_; }
  const std::string& interface() const override { return settings_.interface; }

  Status make_credentials(lease::DeviceId device, std::optional<ByteView> brought,
                          const std::function<std::string(lease::DeviceId)>& name_of, store::Credentials& made) override;
  void take_up(const store::Credentials& committed) override;
  bool knows(lease::DeviceId device) const override { return devices_.contains(device); }
  std::string public_credential(lease::DeviceId device) const override;
  Result<std::string> device_configuration(const DeviceCard& card) const override;

  Status let_in(const LetIn& device) override;
  Status remove(lease::DeviceId device) override;
  void admit(lease::DeviceId device, const Address& endpoint_address) override;
  void depart(lease::DeviceId device) override;
  Status fence(std::span<const ClosedFlow> flows) override;
  void call(lease::DeviceId) override {}  // a server cannot: its clients speak first
  std::vector<DeviceStatus> status() const override;
  std::optional<DeviceStatus> status(lease::DeviceId device) const override;
  std::vector<Refused> strangers() const override;
  std::vector<Counter> counters() const override;

 private:
  using ClientId = protocol::openvpn::ClientId;
  using Fingerprint = std::array<std::uint8_t, 32>;
  struct Entry {
    store::OpenVpnDevice kept;
    std::vector<Prefix> addresses;
    std::optional<ClientId> here;  // established, and the newest
    bool led = false;              // packets for it go to our interface
    std::optional<Endpoint> endpoint;
    std::optional<WallTime> proved;
    std::optional<Time> heard;
    std::optional<Time> lost;  // its daemon ended then
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
  };
  struct Client {
    lease::DeviceId device{};
    bool established = false;
  };

  OpenVpnWayIn(Settings settings, store::OpenVpnIdentity identity, Parts parts)
      : settings_(std::move(settings)), identity_(std::move(identity)), parts_(std::move(parts)) {}
  void take_up(const store::OpenVpnDevice& device);
  void handle(const protocol::openvpn::Holding&);
  void handle(const protocol::openvpn::ClientAsks& asks);
  void handle(const protocol::openvpn::ClientEstablished& established);
  void handle(const protocol::openvpn::ClientGone& gone);
  void handle(const protocol::openvpn::ClientSeen& seen);
  void handle(const protocol::openvpn::Fatal& fatal);
  void handle(const protocol::openvpn::CommandRefused& refused);
  std::optional<lease::DeviceId> device_of(const protocol::openvpn::Environment& environment) const;
  void send(const std::string& command);
  void kill_others(lease::DeviceId device, std::optional<ClientId> but, protocol::openvpn::AfterKill after);
  void lead(Entry& entry, bool here);
  Status end_sessions(lease::DeviceId device, Entry& entry, protocol::openvpn::AfterKill after);
  DeviceStatus status_of(const Entry& entry) const;

  Settings settings_;
  store::OpenVpnIdentity identity_;
  Parts parts_;
  std::string engine_ = "OpenVPN";
  std::function<void(const std::string&)> send_;
  protocol::openvpn::ManagementReader reader_;
  std::map<lease::DeviceId, Entry> devices_;
  std::map<Fingerprint, lease::DeviceId> by_fingerprint_;
  std::map<ClientId, Client> clients_;  // of the daemon that runs now
  std::string last_fatal_;
  std::uint64_t daemons_ = 0;
  std::uint64_t refused_unknown_ = 0;
  std::uint64_t refused_suspended_ = 0;
  std::uint64_t lines_ignored_ = 0;  // of former daemons
  std::optional<WallTime> refused_last_;
};

}  // namespace drpf::tunnel::openvpn
