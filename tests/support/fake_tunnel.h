// An engine of WireGuard without packets: remembers what it was told, says what the test lets happen.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tunnel/tunnel.h"

namespace drpf::tests {

class FakeTunnel final : public tunnel::Tunnel {
 public:
  std::string_view name() const override { return "no engine"; }
  Status add_peer(const tunnel::PeerConfig& peer) override {
    peers[peer.public_key] = peer;
    return {};
  }
  Status remove_peer(const tunnel::Key& public_key) override {
    peers.erase(public_key);
    statuses.erase(public_key);
    return {};
  }
  void admit(const tunnel::Key& public_key, const Address& endpoint_address) override {
    admitted.emplace_back(public_key, endpoint_address);
  }
  void depart(const tunnel::Key& public_key) override { departed.push_back(public_key); }
  Status fence(std::span<const tunnel::ClosedFlow> flows) override {
    fenced.insert(fenced.end(), flows.begin(), flows.end());
    return {};
  }
  void initiate(const tunnel::Key& public_key) override { initiated.push_back(public_key); }
  std::vector<tunnel::PeerStatus> status() const override {
    std::vector<tunnel::PeerStatus> all;
    for (const auto& [key, status] : statuses) all.push_back(status);
    return all;
  }
  std::optional<tunnel::PeerStatus> status(const tunnel::Key& public_key) const override {
    const auto found = statuses.find(public_key);
    if (found == statuses.end()) return std::nullopt;
    return found->second;
  }
  std::vector<tunnel::Counter> counters() const override { return counted; }

  std::vector<tunnel::StrangerRefusal> strangers() const override { return unknown; }

  std::vector<tunnel::Counter> counted;
  std::vector<tunnel::StrangerRefusal> unknown;

  std::map<tunnel::Key, tunnel::PeerConfig> peers;
  std::map<tunnel::Key, tunnel::PeerStatus> statuses;
  std::vector<std::pair<tunnel::Key, Address>> admitted;
  std::vector<tunnel::ClosedFlow> fenced;
  std::vector<tunnel::Key> departed;
  std::vector<tunnel::Key> initiated;
};

}  // namespace drpf::tests
