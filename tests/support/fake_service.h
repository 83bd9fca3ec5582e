// A gateway for tests of the API: a real lease book on a clock set by hand; commits to nothing and carries nothing out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/service.h"
#include "core/encoding.h"

namespace drpf::test {

inline lease::Policy fake_policy() {
  lease::Policy policy;
  policy.hosts = {{"main", *parse_address("198.51.100.1"), *parse_address("2001:db8::1")}};
  policy.pool = *parse_port_range("20000-20019");
  lease::Plan personal;
  personal.name = "personal";
  lease::Plan business;
  business.name = "business";
  business.ports_max = 15;
  business.port_choice = true;
  policy.plans = {personal, business};
  policy.tunnel_v4 = *parse_prefix("10.77.0.0/16");
  policy.tunnel_v6 = *parse_prefix("fd77::/64");
  return policy;
}

class FakeService final : public api::Service {
 public:
  explicit FakeService(const lease::Policy& policy = fake_policy()) : book_(policy, lease::State{}) {}

  // --- what a test sets
  Time time = Time(std::chrono::hours(1));
  WallTime wall_at_zero = WallTime(std::chrono::seconds(1'772'366'400));  // 2026-03-01T12:00:00Z
  api::StatusReport report;
  std::vector<api::Finding> findings;
  std::map<lease::DeviceId, api::DeviceTunnel> tunnels;
  Bytes backup_image;
  std::vector<std::string> clocks_forgotten;
  std::optional<Error> failure;  // every change fails with this
  api::Settling settling = 0;    // what every change has to wait for
  std::vector<lease::DeviceId> disconnected;
  std::vector<api::ReloadOptions> reloads;  // that were asked for
  api::ReloadReport reloaded;               // what every reload says

  std::vector<api::LeaseTest> tests;     // what was asked for
  std::vector<api::TestedLease> tested;  // what every test finds

  void connect(std::string_view device) {
    const auto id = book_.device(device)->id;
    book_.apply(book_.connect(id, time)->transaction);
    tell({id, "connected"});
  }
  void tell(const api::Change& change) {
    const auto listeners = listeners_;
    for (const auto& [number, listener] : listeners) listener(change);
  }
  std::size_t listeners() const { return listeners_.size(); }

  // --- api::Service
  const lease::LeaseBook& book() const override { return book_; }
  Time now() const override { return time; }
  WallTime wall(Time at) const override { return wall_at_zero + (at - Time(std::chrono::hours(1))); }
  api::StatusReport status() const override { return report; }
  std::vector<api::Finding> check() override { return findings; }
  std::optional<api::DeviceTunnel> device_tunnel(lease::DeviceId device) const override {
    const auto found = tunnels.find(device);
    return found == tunnels.end() ? std::nullopt : std::optional(found->second);
  }
  Result<api::ReloadReport> reload(const api::ReloadOptions& options) override {
    reloads.push_back(options);
    if (failure) return fail(*failure);
    return reloaded;
  }
  Result<Bytes> backup() override {
    if (failure) return fail(*failure);
    return backup_image;
  }
  Result<api::Changed<lease::Account>> add_account(std::string_view name, std::optional<std::string_view> plan) override {
    return decided(book_.add_account(name, plan), "account");
  }
  Result<api::Settling> set_account(std::string_view name, std::optional<std::string_view> plan, std::optional<bool> suspended) override {
    const auto* account = book_.account(name);
    if (!account) return fail(not_found("account_unknown", "there is no account '" + std::string(name) + "'"));
    return done(book_.set_account(account->id, plan, suspended, time), "account");
  }
  Result<api::Settling> remove_account(std::string_view name) override {
    const auto* account = book_.account(name);
    if (!account) return fail(not_found("account_unknown", "there is no account '" + std::string(name) + "'"));
    return done(book_.remove_account(account->id, time), "account");
  }
  Result<api::Changed<lease::Device>> add_device(std::string_view account, std::string_view name,
                                                 std::optional<api::BroughtCredential> brought) override {
    const auto* owner = book_.account(account);
    if (!owner) return fail(not_found("account_unknown", "there is no account '" + std::string(account) + "'"));
    auto device = decided(book_.add_device(owner->id, name), "device");
    if (device) {
      api::DeviceTunnel tunnel;
      tunnel.public_credential = to_base64(brought ? brought->bytes : Bytes(32, 7));
      tunnels[device->value.id] = tunnel;
    }
    return device;
  }
  Result<api::Settling> remove_device(std::string_view name) override {
    const auto* device = book_.device(name);
    if (!device) return fail(not_found("device_unknown", "there is no device '" + std::string(name) + "'"));
    return done(book_.remove_device(device->id, time), "device");
  }
  Result<std::string> device_config(std::string_view name, const api::DeviceConfigOptions& options) override {
    if (!book_.device(name)) return fail(not_found("device_unknown", "there is no device '" + std::string(name) + "'"));
    return "[Interface]\n# " + std::string(name) + (options.inbound_only ? " inbound-only" : "") +
           "\n[Peer]\nEndpoint = " + options.endpoint.value_or("198.51.100.1:51820") + "\n";
  }
  Status forget_clock(std::string_view device) override {
    if (failure) return fail(*failure);
    if (book_.device(device) == nullptr) return fail(not_found("device_unknown", "there is no such device"));
    clocks_forgotten.emplace_back(device);
    return {};
  }
  Result<api::Settling> disconnect_device(lease::DeviceId device) override {
    disconnected.push_back(device);
    return done(book_.disconnect(device, time), "disconnected", device);
  }
  Result<api::Changed<std::vector<lease::Lease>>> add_lease(lease::LeaseRequest request) override {
    return decided(book_.add_lease(request, time), "leases", request.device);
  }
  Result<api::Changed<std::vector<lease::Lease>>> map(const lease::MappingRequest& request) override {
    return decided(book_.map(request, time), "leases", request.device);
  }
  Result<api::Changed<std::size_t>> end_mappings(const lease::MappingEnd& end) override {
    return decided(book_.end_mappings(end, time), "leases", end.device);
  }
  Result<api::Settling> set_lease(const lease::PublicPort& on, Port local_port) override {
    return done(book_.set_lease(on, local_port, time), "leases");
  }
  Result<api::Settling> remove_lease(const lease::PublicPort& on, const api::Principal&) override {
    return done(book_.remove_lease(on, time), "leases");
  }
  void test_lease(const api::LeaseTest& test, LeaseTested tell) override {
    tests.push_back(test);
    if (failure) return tell(fail(*failure));
    tell(tested);
  }
  std::unique_ptr<Subscription> subscribe(std::function<void(const api::Change&)> listener) override {
    listeners_[++next_listener_] = std::move(listener);
    return std::make_unique<Listener>(*this, next_listener_);
  }

 private:
  struct Listener final : Subscription {
    Listener(FakeService& owner, int its_number) : service(owner), number(its_number) {}
    ~Listener() override { service.listeners_.erase(number); }
    FakeService& service;
    int number;
  };

  template <class Decision>
  auto decided(Decision decision, const char* what, std::optional<lease::DeviceId> device = std::nullopt)
      -> Result<api::Changed<decltype(decision->value)>> {
    if (failure) return fail(*failure);
    if (!decision) return fail(decision.error());
    book_.apply(decision->transaction);
    tell({device, what});
    return api::Changed<decltype(decision->value)>{std::move(decision->value), settling};
  }
  Result<api::Settling> done(const Result<lease::Transaction>& transaction, const char* what,
                             std::optional<lease::DeviceId> device = std::nullopt) {
    if (failure) return fail(*failure);
    if (!transaction) return fail(transaction.error());
    book_.apply(*transaction);
    tell({device, what});
    return settling;
  }

  lease::LeaseBook book_;
  std::map<int, std::function<void(const api::Change&)>> listeners_;
  int next_listener_ = 0;
};

}  // namespace drpf::test
