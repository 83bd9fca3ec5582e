// The store with the faults of disks, and with an account of what it was told. Belongs to one process of the gateway; the disk outlives it.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "simulation/disk.h"
#include "simulation/durable.h"
#include "simulation/faults.h"

namespace drpf::simulation {

class FaultyStore final : public store::Store {
 public:
  struct World {
    Disk& disk;
    Durable& durable;
    std::optional<Durable>& doubtful;  // what will be true instead if the process dies now
    VirtualClock& clock;
    Faults& faults;
    Dice& dice;
    const Cause& cause;
    const lease::Policy& policy;
    std::function<void(const lease::Transaction&)> committed;
    std::function<void(const lease::Transaction&)> before_commit;  // a mutation's place
  };

  FaultyStore(store::Store& inner, World world) : inner_(inner), world_(std::move(world)) {}

  Result<lease::State> stored(const store::ClockReading& now) { return inner_.load(now); }  // without faults
  Result<lease::State> load(const store::ClockReading& now) override;
  Status commit(const lease::Transaction& transaction, const store::ClockReading& now) override {
    return commit_with(transaction, {}, now);
  }
  Result<std::optional<store::WireGuardIdentity>> load_wireguard_identity() override { return inner_.load_wireguard_identity(); }
  Status save_wireguard_identity(const store::WireGuardIdentity& identity) override;
  Result<std::vector<store::WireGuardPeer>> load_wireguard_peers() override;
  Status save_wireguard_peers(const std::vector<store::WireGuardPeer>& peers) override;
  // No simulated device comes by OpenVPN.
  Result<std::optional<store::OpenVpnIdentity>> load_openvpn_identity() override { return inner_.load_openvpn_identity(); }
  Status save_openvpn_identity(const store::OpenVpnIdentity& identity) override { return inner_.save_openvpn_identity(identity); }
  Result<std::vector<store::OpenVpnDevice>> load_openvpn_devices() override { return inner_.load_openvpn_devices(); }
  Status commit_with(const lease::Transaction& transaction, const store::Credentials& credentials, const store::ClockReading& now) override;

 private:
  Status write(const lease::Transaction& transaction, const store::Credentials& credentials, const store::ClockReading& now);
  Status refused() const { return fail(failure("disk_full", "the simulated disk refuses")); }

  store::Store& inner_;
  World world_;
  std::optional<lease::Transaction> late_;  // a mutation's
};

}  // namespace drpf::simulation
