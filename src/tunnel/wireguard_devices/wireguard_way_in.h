// WireGuard as a way in: knows which key is which device's, makes keys, keeps them, and writes the file that a device is given. Who speaks
// WireGuard, the embedded engine or the kernel, is handed in and knows keys only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "core/port.h"
#include "core/random.h"
#include "core/time.h"
#include "store/credentials.h"
#include "tunnel/tunnel.h"
#include "tunnel/way_in.h"

namespace drpf::tunnel::wireguard_devices {

// The gateway's own key, for life; made where the store has none.
Result<store::WireGuardIdentity> gateway_identity(store::WireGuardCredentials& store, Random& random);

class WireGuardWayIn final : public WayIn {
 public:
  static constexpr std::string_view kind_name = "wireguard";
  static constexpr Duration timestamp_floor_ahead = std::chrono::seconds(20);  // at least twice the interval of save_state()

  struct Settings {
    std::string interface = "drpf0";
    Port port{51820};
    std::uint16_t mtu = 1420;
    bool calls_are_answered = true;  // the kernel's engine does not shake hands while a session is young
  };
  struct Parts {
    store::WireGuardCredentials& store;
    const Clock& clock;
    Random& random;
    std::shared_ptr<spdlog::logger> log;
  };

  static Result<std::unique_ptr<WireGuardWayIn>> open(Settings settings, const store::WireGuardIdentity& identity, Parts parts);
  void carried_by(std::unique_ptr<Tunnel> engine) { engine_ = std::move(engine); }  // before a device is let in

  // What the engine said of a key, as said of its device; nothing where no device has it. The others are of no device.
  std::optional<DeviceEvent> event_of(const Event& event) const;

  std::string_view kind() const override { return kind_name; }
  std::string_view engine() const override { return engine_->name(); }
  const std::string& interface() const override { return settings_.interface; }
  bool calls_are_answered() const override { return settings_.calls_are_answered; }

  Status make_credentials(lease::DeviceId device, std::optional<ByteView> brought,
                          const std::function<std::string(lease::DeviceId)>& name_of, store::Credentials& made) override;
  void take_up(const store::Credentials& committed) override;
  bool knows(lease::DeviceId device) const override { return devices_.contains(device); }
  std::string public_credential(lease::DeviceId device) const override;
  Result<std::string> device_configuration(const DeviceCard& card) const override;

  Result<bool> begin() override;
  Result<bool> save_state() override;
  void remember(lease::DeviceId device, const Endpoint& endpoint) override;

  Status let_in(const LetIn& device) override;
  Status remove(lease::DeviceId device) override;
  void admit(lease::DeviceId device, const Address& endpoint_address) override;
  void depart(lease::DeviceId device) override;
  Status fence(std::span<const ClosedFlow> flows) override { return engine_->fence(flows); }
  void call(lease::DeviceId device) override;
  std::vector<DeviceStatus> status() const override;
  std::optional<DeviceStatus> status(lease::DeviceId device) const override;
  std::vector<Refused> strangers() const override;
  Status forget_clock(lease::DeviceId device) override;
  std::vector<Counter> counters() const override { return engine_->counters(); }

 private:
  struct Entry {
    store::WireGuardPeer peer;
    bool in_engine = false;
  };
  WireGuardWayIn(Settings settings, const store::WireGuardIdentity& identity, Parts parts)
      : settings_(std::move(settings)), identity_(identity), parts_(std::move(parts)) {}
  void take_up(const store::WireGuardPeer& peer);
  std::optional<lease::DeviceId> device_of(const Key& key) const;
  const Key* key_of(lease::DeviceId device) const;
  DeviceStatus status_of(const Entry& entry, const PeerStatus& reported) const;

  Settings settings_;
  store::WireGuardIdentity identity_;
  Parts parts_;
  std::map<lease::DeviceId, Entry> devices_;
  std::map<Key, lease::DeviceId> by_key_;
  std::unique_ptr<Tunnel> engine_;  // its threads end first
};

}  // namespace drpf::tunnel::wireguard_devices
