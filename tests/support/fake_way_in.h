// A way in of a third kind, as plain as one can be: no keys, no packets. Remembers what it was told, says what the test lets happen.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tunnel/way_in.h"

namespace drpf::tests {

class FakeWayIn final : public tunnel::WayIn {
 public:
  // What outlives the process; a device has a word that it is let in by.
  using Words = std::map<lease::DeviceId, std::string>;

  explicit FakeWayIn(Words& words, std::string kind = "string-and-cans") : words_(words), kind_(std::move(kind)) {}

  std::string_view kind() const override { return kind_; }
  std::string_view engine() const override { return "a tight string"; }
  const std::string& interface() const override { return interface_; }
  bool calls_are_answered() const override { return answers_calls; }

  Status make_credentials(lease::DeviceId device, std::optional<ByteView> brought, const std::function<std::string(lease::DeviceId)>&,
                          store::Credentials&) override {
    const auto number = std::to_string(static_cast<std::uint32_t>(device));
    made_ = {{device, brought ? std::string(brought->begin(), brought->end()) : "word-" + number}};
    return {};
  }
  void take_up(const store::Credentials&) override { words_.merge(made_); }
  bool knows(lease::DeviceId device) const override { return words_.contains(device); }
  std::string public_credential(lease::DeviceId) const override { return {}; }
  Result<std::string> device_configuration(const tunnel::DeviceCard& card) const override {
    card_shown = card;
    return "shout " + words_.at(card.device) + " at " + card.host;
  }

  Status let_in(const tunnel::LetIn& device) override {
    if (refuse) return fail(failure("no_string", "the test's cans have no string"));
    inside[device.device] = device.addresses;
    return {};
  }
  Status remove(lease::DeviceId device) override {
    inside.erase(device);
    words_.erase(device);
    return {};
  }
  void admit(lease::DeviceId device, const Address& endpoint_address) override { admitted.emplace_back(device, endpoint_address); }
  void depart(lease::DeviceId device) override { departed.push_back(device); }
  Status fence(std::span<const tunnel::ClosedFlow> flows) override {
    fenced.insert(flows.begin(), flows.end());
    return {};
  }
  void call(lease::DeviceId device) override { called.push_back(device); }
  std::vector<tunnel::Counter> counters() const override { return {{"unheard", 3}}; }
  std::vector<tunnel::DeviceStatus> status() const override {
    std::vector<tunnel::DeviceStatus> all;
    for (const auto& [device, status] : statuses) all.push_back(status);
    return all;
  }
  std::optional<tunnel::DeviceStatus> status(lease::DeviceId device) const override {
    const auto found = statuses.find(device);
    if (found != statuses.end()) return found->second;
    if (!knows(device)) return std::nullopt;
    tunnel::DeviceStatus status;
    status.device = device;
    return status;
  }

  bool refuse = false;
  bool answers_calls = false;
  mutable tunnel::DeviceCard card_shown;  // what the last device configuration was made of
  std::map<lease::DeviceId, std::vector<Prefix>> inside;
  std::map<lease::DeviceId, tunnel::DeviceStatus> statuses;
  std::vector<std::pair<lease::DeviceId, Address>> admitted;
  std::set<tunnel::ClosedFlow> fenced;
  std::vector<lease::DeviceId> departed;
  std::vector<lease::DeviceId> called;

 private:
  Words& words_;
  Words made_;  // and not committed yet
  std::string kind_;
  std::string interface_ = "cans0";
};

}  // namespace drpf::tests
