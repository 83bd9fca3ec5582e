// The store without a disk, for tests and the simulation. It refuses what the real one refuses; nothing of it survives its destruction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace drpf::tests {

class MemoryStore final : public store::Store {
 public:
  Result<lease::State> load(const store::ClockReading& now) override;
  Status commit(const lease::Transaction& transaction, const store::ClockReading& now) override;
  Result<std::optional<store::WireGuardIdentity>> load_wireguard_identity() override;
  Status save_wireguard_identity(const store::WireGuardIdentity& identity) override;
  Result<std::vector<store::WireGuardPeer>> load_wireguard_peers() override;
  Status save_wireguard_peers(const std::vector<store::WireGuardPeer>& peers) override;
  Result<std::optional<store::OpenVpnIdentity>> load_openvpn_identity() override { return openvpn_identity_; }
  Status save_openvpn_identity(const store::OpenVpnIdentity& identity) override;
  Result<std::vector<store::OpenVpnDevice>> load_openvpn_devices() override;
  Status commit_with(const lease::Transaction& transaction, const store::Credentials& credentials, const store::ClockReading& now) override;

  // The next commit or save fails like a full disk, with nothing changed.
  void fail_next() { fail_next_ = true; }
  // Nothing can be read, until it can again.
  void refuse_loads(bool it_does) { refuses_loads_ = it_does; }

 private:
  struct Contents {
    std::map<lease::AccountId, lease::Account> accounts;
    std::map<lease::DeviceId, lease::Device> devices;
    std::map<lease::GrantId, lease::Grant> grants;
    std::map<lease::PublicPort, lease::Lease> leases;
    std::map<std::pair<std::string, Port>, lease::Quarantine> quarantines;
    std::map<lease::DeviceId, store::WireGuardPeer> peers;
    std::map<lease::DeviceId, store::OpenVpnDevice> openvpn_devices;
    std::uint32_t generations_used_to = 0;
    std::uint32_t next_id = 1;
    std::uint32_t addresses_used_to = 0;
    Time epoch_started{};
    store::ClockReading clock;

    void apply(const lease::RecordChange& record);
    void convert_deadlines(const store::ClockReading& now);
    Status consistent() const;
  };

  Contents contents_;
  std::optional<store::WireGuardIdentity> identity_;
  std::optional<store::OpenVpnIdentity> openvpn_identity_;
  bool fail_next_ = false;
  bool refuses_loads_ = false;
};

}  // namespace drpf::tests
