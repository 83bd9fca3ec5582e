// One simulated gateway with its host, its devices and its visitors, driven by the choices of one seed. After every step everything that
// was promised is checked; a broken promise is thrown as Violation.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/admin_api.h"
#include "api/device_api.h"
#include "gateway/gateway.h"
#include "simulation/disk.h"
#include "simulation/durable.h"
#include "simulation/faults.h"
#include "simulation/faulty_store.h"
#include "simulation/kernel.h"
#include "simulation/model_host.h"
#include "simulation/model_redirect.h"
#include "simulation/model_tunnel.h"
#include "tunnel/wireguard_devices/wireguard_way_in.h"

namespace drpf::simulation {

class Simulation {
 public:
  struct Options {
    std::uint64_t seed = 0;
    Mutation mutation = Mutation::none;
    bool real_database = false;
    bool mappings = true;  // programs ask for ports; false leads older seeds where they led
    std::function<void(std::string_view)> trace;
  };
  static constexpr int steps_per_seed = 300;

  Simulation(const Options& options, Met& met);
  ~Simulation();
  void run();

 private:
  // What dies with a crash.
  struct Process {
    std::unique_ptr<FaultyStore> store;
    std::unique_ptr<ModelRedirect> redirect;
    std::unique_ptr<tunnel::wireguard_devices::WireGuardWayIn> way_in;
    ModelTunnel* tunnel = nullptr;  // of the way in
    std::unique_ptr<gateway::Gateway> gateway;
    std::unique_ptr<ModelHost> host;
    std::unique_ptr<gateway::Reconfiguration> reconfiguration;
    std::unique_ptr<api::AdminApi> admin;
    std::unique_ptr<api::DeviceApi> own;
  };
  // A device as it is, whatever the gateway believes.
  struct Client {
    tunnel::Key key{};
    Endpoint endpoint{};
    bool online = false;
  };
  struct Request {
    std::optional<lease::DeviceId> device;  // who asks; none = the administrator
    std::string method;
    std::string target;
    std::string body;
    Cause cause;
  };

  // --- steps (simulation_steps.cpp)
  void step();
  void pass_time();
  void let_time_pass(Duration time);
  void device_comes_goes_or_moves();
  void device_asks();
  void programs_ask();
  void administrator_asks();
  void visit();
  void host_trouble();
  void operator_changes_the_file();
  void reload(bool end_leases);
  void host_changes();
  void repeat_request();
  void send(const Request& request);
  unsigned ask(const Request& request);
  void remember(const Request& request);
  void settle();

  // --- the process (simulation.cpp)
  void start_process();
  bool try_to_start();
  void crash(const char* where, bool reboot);
  void work(const Cause& cause, const std::function<void()>& body);  // a crash inside ends the process
  void deliver_events(bool all);
  void inspect();
  void committed(const lease::Transaction& transaction);
  Result<std::vector<std::string>> reload_now(const api::ReloadOptions& options);
  void follow_hosts();
  void operator_looks_into_it(const Error& refused);
  void say(const std::string& text) const {
    if (options_.trace) options_.trace(text);
  }
  void follow_devices();

  // --- promises (simulation_checks.cpp)
  void check();
  void check_kernel();
  void check_setup();
  const std::string& wanted_ruleset();
  void check_settled();
  void check_answered(const Request& request, const net::Response& response);
  void check_carried_out(const std::string& what);
  void check_in_kernel(const lease::Lease& lease, const std::string& what);
  void must_be_closed(lease::DeviceId device, const std::vector<Address>& addresses, std::string_view what);
  const lease::Lease* durable_lease(const PortKey& key, lease::Generation generation) const;
  const lease::Lease* durable_lease(const PortKey& key, const Kernel::Flow& flow) const;
  std::optional<std::string> host_of(const Address& address) const;
  void see_what_was_carried_out();
  void passed(const Kernel::Flow& flow, const PortKey& public_side);

  template <class Map>
  auto any(const Map& map) {
    return std::next(map.begin(), dice_.below(static_cast<std::uint32_t>(map.size())))->first;
  }

  Options options_;
  Met& met_;
  Dice dice_;
  Faults faults_;
  VirtualClock clock_;
  Kernel kernel_{clock_};
  std::unique_ptr<Disk> disk_;
  Durable durable_;
  std::optional<Durable> doubtful_;
  Surroundings surroundings_;
  configuration::Setup setup_;       // that the gateway runs by
  std::string file_of_setup_;        // the text that it was read from
  configuration::Setup told_setup_;  // whose rule set is told_ruleset_
  std::string told_ruleset_;
  lease::Policy policy_;             // of the book
  lease::Policy committing_policy_;  // what a commit is decided by
  bool start_may_end_leases_ = false;
  std::shared_ptr<spdlog::logger> log_;
  Process process_;
  Cause cause_;
  std::map<lease::DeviceId, Client> clients_;
  std::deque<Request> history_;
  std::optional<Request> late_;  // sent, and overtaken by later ones
  std::uint32_t names_ = 0;
  Duration inspected_{};
  std::set<lease::Generation> removing_;                                        // their end is committed and not yet carried out
  std::set<lease::Generation> renewing_;                                        // their new deadline is committed and not yet carried out
  std::set<lease::Generation> committed_now_;                                   // removed by the operation at hand
  std::set<lease::Generation> ended_;                                           // carried out: never again
  std::map<std::pair<lease::Generation, Family>, lease::Redirection> meaning_;  // what a generation was given to, for ever
  std::set<tunnel::ClosedFlow> must_be_fenced_;                                 // by the operation at hand
  bool something_happened_ = false;
  bool slept_ = false;  // the host; the kernel's timers are late until the gateway has noticed
  int step_ = 0;
};

}  // namespace drpf::simulation
