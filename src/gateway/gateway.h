// The gateway's one way through the house: decide (book), commit (store), apply, carry out (redirect, tunnel), then answer.
// It owns no socket, file or thread; those come in as interfaces, so that tests and simulations run the same code.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <spdlog/fwd.h>

#include "api/service.h"
#include "configuration/configuration.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/lease_book.h"
#include "redirect/redirect.h"
#include "store/lease_history.h"
#include "store/store.h"
#include "tunnel/way_in.h"

namespace drpf::gateway {

struct Parts {
  store::Store& store;
  redirect::Redirect& redirect;
  std::vector<tunnel::WayIn*> ways_in;  // at least one; the first that knows a device speaks for it while it is away
  const Clock& clock;
  std::shared_ptr<spdlog::logger> log;
  std::string boot_id;
  std::function<std::vector<api::Finding>()> check;                      // looks at the live host
  std::function<Status(const lease::Device&)> prepare_tunnel_addresses;  // the gateway's own address in the device's /24
  std::function<Result<Bytes>()> backup = {};                            // the whole store as one file
  std::function<std::optional<std::string>()> store_warning = {};        // why the store takes nothing new in, if so
  store::LeaseHistory* history = nullptr;                                // none = no history is kept
};

// Whether a change of the policy may end leases and give devices other addresses.
enum class OnLosses : std::uint8_t {
  refuse,  // change_ends_leases, and nothing has been changed
  accept,
};

// The book as it was committed, with what the policy and the time that passed since have changed, committed too.
Result<lease::LeaseBook> load_book(store::Store& store, const lease::Policy& policy, const store::ClockReading& reading, OnLosses on_losses,
                                   spdlog::logger& log);

class Gateway final : public api::Service {
 public:
  static constexpr Duration endpoint_lifetime = std::chrono::seconds(900);  // in the firewall's set; longer than any session lives
  static constexpr Duration endpoint_refresh = std::chrono::seconds(120);
  // How often a device may move at once, and one more in each interval: beyond that it is forwarded from its new place a little later.
  static constexpr std::uint32_t moves_at_once_max = 6;
  static constexpr Duration move_interval = std::chrono::seconds(10);
  static constexpr Duration late_tick = std::chrono::seconds(3);  // after longer than this the kernel's timeouts are compared
  static constexpr int tick_slices_max = 16;
  static constexpr Duration refusal_repeat = std::chrono::minutes(10);        // how often the log says that somebody does not get in
  static constexpr Duration refusal_shown = std::chrono::hours(1);            // to the administrator, after the last time
  static constexpr Duration store_trouble_repeat = std::chrono::seconds(60);  // how often the same trouble is logged

  // Lets every device in by the ways that know it, and calls back those that were connected. The redirect already holds the book's leases.
  static Result<std::unique_ptr<Gateway>> open(configuration::Configuration configuration, lease::LeaseBook book, Parts parts);
  ~Gateway() override;

  // --- what happens to the gateway; all on the control thread
  void on_tunnel_event(tunnel::WayIn& way_in, const tunnel::DeviceEvent& event);
  void tick();                      // what time alone brings; call about once a second
  void tell_refusals();             // into the log, who does not get in; call every few seconds
  Status save_tunnel_state();       // what the ways in go on from in the next run; call every few seconds and at the end
  Result<std::size_t> reconcile();  // repairs the kernel; counts and logs
  // The leases that the new policy ends or moves are carried out; the rule set is the caller's to change.
  Status reconfigure(configuration::Configuration configuration, lease::Policy policy);
  void set_port_doctor(std::function<void(const api::LeaseTest&, LeaseTested)> test) { port_doctor_ = std::move(test); }
  using Reload = std::function<Result<std::vector<std::string>>(const api::ReloadOptions&)>;  // says what has changed
  void set_reload(Reload reload) { reload_ = std::move(reload); }
  void set_repair_report(std::function<api::RepairReport()> report) { repair_report_ = std::move(report); }
  // This host's address is another than before: devices are called from it, so that they learn it.
  void call_connected_devices();
  bool call_for_answer(lease::DeviceId device);  // a device that is there answers; false: its way in cannot bring that about
  // That the device is here by now, or would be asked to come by: the first that knows it. Null where none does.
  tunnel::WayIn* way_in_of(lease::DeviceId device) const;
  void set_condition(const std::string& name, std::optional<std::string> warning);  // a warning for as long as it lasts
  void keep_history(store::LeaseHistory& history);                                  // one that could not be opened at the start
  void forget_history();                                                            // what is older than the configuration keeps

  // --- mappings of programs: decided one by one, committed and carried out together. Between a decision and commit_staged() nothing else
  // may be asked of the gateway, and nobody may be told.
  Result<std::vector<lease::Lease>> stage(const lease::MappingRequest& request);
  Result<std::size_t> stage(const lease::MappingEnd& end);
  // What has to settle before a device may be told that its lease is open for everybody; 0 = nothing.
  api::Settling settling(const lease::Lease& lease) const;
  Status commit_staged();  // after an error of the store the book is again as it was committed, at the latest when the store can be read
  bool is_book_committed() const { return !book_due_; }
  static Error book_unknown();  // why nothing can be changed while it is not

  // --- api::Service
  const lease::LeaseBook& book() const override { return book_; }
  Time now() const override { return parts_.clock.now(); }
  WallTime wall(Time time) const override;
  api::StatusReport status() const override;
  std::vector<api::Finding> check() override;
  Result<api::ReloadReport> reload(const api::ReloadOptions& options) override;
  Result<Bytes> backup() override;
  std::optional<api::DeviceTunnel> device_tunnel(lease::DeviceId device) const override;
  Result<std::vector<store::PastLease>> history(const store::HistoryQuery& query) override;
  Result<api::Changed<lease::Account>> add_account(std::string_view name, std::optional<std::string_view> plan) override;
  Result<api::Settling> set_account(std::string_view name, std::optional<std::string_view> plan, std::optional<bool> suspended) override;
  Result<api::Settling> remove_account(std::string_view name) override;
  Result<api::Changed<lease::Device>> add_device(std::string_view account, std::string_view name,
                                                 std::optional<api::BroughtCredential> brought) override;
  Result<api::Settling> remove_device(std::string_view name) override;
  Result<std::string> device_config(std::string_view name, const api::DeviceConfigOptions& options) override;
  Status forget_clock(std::string_view device) override;
  Result<api::Settling> disconnect_device(lease::DeviceId device) override;
  Result<api::Changed<std::vector<lease::Lease>>> add_lease(lease::LeaseRequest request) override;
  Result<api::Changed<std::vector<lease::Lease>>> map(const lease::MappingRequest& request) override;
  Result<api::Changed<std::size_t>> end_mappings(const lease::MappingEnd& end) override;
  Result<api::Settling> set_lease(const lease::PublicPort& on, Port local_port) override;
  Result<api::Settling> remove_lease(const lease::PublicPort& on, const api::Principal& by) override;
  void test_lease(const api::LeaseTest& test, LeaseTested done) override;
  std::unique_ptr<Subscription> subscribe(std::function<void(const api::Change&)> listener) override;

 private:
  class Listener;

  Gateway(configuration::Configuration configuration, lease::LeaseBook book, Parts parts);
  Status start();
  store::ClockReading clock_reading() const;
  // Commit, apply, carry out. After an error of the kernel the book is right and reconcile() is due.
  // `ended_by`: who or what ended the leases that it ends, told in the log; empty where their own deadline did.
  Result<api::Settling> carry_out(const lease::Transaction& transaction, std::string_view ended_by = {});
  Status commit(const lease::Transaction& transaction, const store::Credentials& credentials = {});
  void note_store(const Status& written);
  Result<api::Settling> catch_up();
  Result<api::Settling> after_commit(const lease::Transaction& transaction, std::optional<lease::Policy> policy = {},
                                     std::string_view ended_by = {});
  void tell_ended(const std::vector<std::string>& leases, std::string_view by);
  Result<api::Settling> bring_about(const lease::Transaction& transaction, const std::vector<lease::DeviceId>& devices);
  Status fence(const lease::Transaction& transaction);
  void stage(lease::Transaction transaction, std::string_view ended_by);
  Status read_book_back();
  Status bring_in(lease::DeviceId device);
  Status let_in(lease::DeviceId device);
  void forget_device(lease::DeviceId device);
  // By that kind; a device that came before the gateway offered it gets its credentials now.
  Result<tunnel::WayIn*> way_in_by(const std::string& kind, const lease::Device& device);
  tunnel::WayIn* here_by(lease::DeviceId device) const;
  void note_history(const lease::Transaction& transaction);
  void resume_history();
  Result<const lease::Account*> find_account(std::string_view name) const;
  Result<const lease::Device*> find_device(std::string_view name) const;
  // A device that is there by a way in.
  struct Arrival {
    tunnel::WayIn* way_in = nullptr;
    Endpoint endpoint;
  };
  void on_connected(lease::DeviceId device, const Arrival& arrival);
  void on_roamed(lease::DeviceId device, const Arrival& arrival);
  void on_disconnected(lease::DeviceId device, const tunnel::WayIn& way_in);
  Status admit(const lease::Device& device, const tunnel::WayIn& way_in, const Endpoint& endpoint);
  bool take_in(lease::DeviceId device, const Arrival& arrival, std::string_view what);
  bool may_move(lease::DeviceId device);
  void depart(lease::DeviceId device);
  Result<api::Settling> connect(lease::DeviceId device, const Arrival& arrival);
  Result<api::Settling> disconnect(lease::DeviceId device, std::string_view why);
  std::string cure_for(const tunnel::Refused& refused, lease::DeviceId device) const;
  void make_up_for_failures();
  void call_back_lost(const lease::Transaction& transaction);
  void refresh_endpoints();
  void end_restored_sessions();
  void publish(std::optional<lease::DeviceId> device, std::string_view what);
  std::vector<lease::DeviceId> devices_in(const lease::Transaction& transaction) const;

  configuration::Configuration configuration_;
  lease::LeaseBook book_;
  Parts parts_;
  Time started_;
  std::map<lease::DeviceId, tunnel::WayIn*> here_by_;  // the way in that told last of a device that it is there
  std::map<lease::DeviceId, Time> restored_until_;     // connected before a restart and not heard of since, or gone without a commit
  std::map<lease::DeviceId, Arrival> connects_due_;    // there, or moved, but kernel or store did not take it: it is not told again
  std::map<lease::DeviceId, Time> moves_paid_until_;   // by each move one interval later; those that may move freely have none
  std::set<lease::DeviceId> entries_due_;              // not let in, for something failed
  Time ticked_{};
  std::optional<Time> endpoints_refreshed_;
  std::vector<lease::Transaction> staged_;
  std::vector<lease::DeviceId> staged_devices_;
  std::vector<std::pair<std::string, std::string_view>> staged_ends_;  // which lease, by whom
  bool book_due_ = false;                                              // it holds what was not committed, and has to be read back
  bool reconcile_due_ = false;
  std::uint64_t repairs_ = 0;
  std::function<api::RepairReport()> repair_report_;
  Reload reload_;
  std::function<void(const api::LeaseTest&, LeaseTested)> port_doctor_;
  std::optional<Error> store_trouble_;  // why the last write of the store failed, or would if it added something
  std::string store_trouble_told_;      // its code, when it was logged last
  std::optional<Time> store_trouble_logged_;
  std::map<std::string, Time> refusals_told_;
  std::map<std::string, std::string> conditions_;
  bool history_behind_ = false;  // something is not written down yet
  std::map<std::uint64_t, std::function<void(const api::Change&)>> listeners_;
  std::uint64_t next_listener_ = 0;
};

}  // namespace drpf::gateway
