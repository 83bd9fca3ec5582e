#include "gateway/gateway.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "gateway/ended_leases.h"
#include "lease/losses.h"
#include "lease/validation.h"

namespace drpf::gateway {

Gateway::Gateway(configuration::Configuration configuration, lease::LeaseBook book, Parts parts)
    : configuration_(std::move(configuration)), book_(std::move(book)), parts_(std::move(parts)), started_(parts_.clock.now()) {}

Gateway::~Gateway() = default;

Result<lease::LeaseBook> load_book(store::Store& store, const lease::Policy& policy, const store::ClockReading& reading, OnLosses on_losses,
                                   spdlog::logger& log) {
  if (auto valid = lease::validate(policy); !valid) return fail(valid.error());
  auto state = store.load(reading);
  if (!state) return fail(state.error());
  if (auto valid = lease::validate(*state); !valid) return fail(valid.error());
  lease::LeaseBook book(policy, std::move(*state));
  // What the policy and the passed time changed while nobody served comes first, so that nothing stale is ever put into the kernel.
  auto due = book.reconfigure(policy, reading.boot);
  if (on_losses == OnLosses::refuse)
    if (auto kept = lease::refuse_losses(book, due); !kept) return fail(kept.error());
  auto ended = ended_leases(book, due);
  do {
    if (!due.empty())
      if (auto committed = store.commit(due, reading); !committed) return fail(committed.error());
    book.apply(due);
    for (const auto& lease : std::exchange(ended, {})) log.warn("{} ended: by a change of the configuration", lease);
    due = book.tick(reading.boot);
  } while (!due.empty());
  return book;
}

Result<std::unique_ptr<Gateway>> Gateway::open(configuration::Configuration configuration, lease::LeaseBook book, Parts parts) {
  std::unique_ptr<Gateway> gateway(new Gateway(std::move(configuration), std::move(book), std::move(parts)));
  if (auto started = gateway->start(); !started) return fail(started.error());
  return gateway;
}

Status Gateway::start() {
  ticked_ = now();  // the redirect has just begun with what the book says
  for (auto* way_in : parts_.ways_in)
    if (auto begun = way_in->begin(); !begun)
      note_store(fail(begun.error()));
    else if (*begun)
      note_store({});
  resume_history();
  for (const auto* device : book_.devices()) {
    if (way_in_of(device->id) == nullptr) continue;
    if (auto in = bring_in(device->id); !in) return in;
    if (!device->connected) continue;
    restored_until_[device->id] = now() + configuration_.disconnect_after;
    for (auto* way_in : parts_.ways_in) {
      const auto status = way_in->status(device->id);
      if (!status || !status->endpoint) continue;
      // The device does not know that we were away: our call brings it back before its own timers would.
      if (auto admitted = admit(*device, *way_in, *status->endpoint); !admitted) return admitted;
      way_in->admit(device->id, status->endpoint->address);
      way_in->call(device->id);
    }
  }
  return {};
}

store::ClockReading Gateway::clock_reading() const { return {parts_.boot_id, parts_.clock.now(), parts_.clock.wall_now()}; }

Result<api::Settling> Gateway::carry_out(const lease::Transaction& transaction, std::string_view ended_by) {
  if (transaction.empty()) return catch_up();
  if (auto committed = commit(transaction); !committed) return fail(committed.error());
  return after_commit(transaction, {}, ended_by);
}

Status Gateway::commit(const lease::Transaction& transaction, const store::Credentials& credentials) {
  if (book_due_) return fail(book_unknown());
  auto committed = parts_.store.commit_with(transaction, credentials, clock_reading());
  note_store(committed);
  return committed;
}

// Trouble that stays is logged once a minute and shown by `drpf status` until it is over.
void Gateway::note_store(const Status& written) {
  if (written) {
    if (!store_trouble_) return;
    store_trouble_.reset();
    if (parts_.store_warning && parts_.store_warning()) return;  // changes are taken in, and still nothing new is
    store_trouble_told_.clear();
    parts_.log->info("the store can be written again");
    return;
  }
  const auto& error = written.error();
  if (is_askers(error.kind)) return;
  const bool told = store_trouble_told_ == error.code && store_trouble_logged_ && now() < *store_trouble_logged_ + store_trouble_repeat;
  store_trouble_ = error;
  store_trouble_told_ = error.code;
  if (told) return;
  store_trouble_logged_ = now();
  parts_.log->error("the store was not written: {}{}", error.message, error.cure.empty() ? "" : ". Cure: " + error.cure);
}

// Nothing is to change, but an earlier change may still be missing in the kernel: then "it is so" would not be true.
Result<api::Settling> Gateway::catch_up() {
  if (book_due_) return fail(book_unknown());
  if (!reconcile_due_) return api::Settling{0};
  return reconcile().map([](std::size_t) { return api::Settling{0}; });
}

Result<api::Settling> Gateway::after_commit(const lease::Transaction& transaction, std::optional<lease::Policy> policy,
                                            std::string_view ended_by) {
  const auto ended = ended_by.empty() ? std::vector<std::string>() : ended_leases(book_, transaction);
  const auto devices = devices_in(transaction);
  book_.apply(transaction);
  tell_ended(ended, ended_by);
  if (policy) book_.adopt(std::move(*policy));
  return bring_about(transaction, devices);
}

void Gateway::tell_ended(const std::vector<std::string>& leases, std::string_view by) {
  for (const auto& lease : leases) parts_.log->info("{} ended: {}", lease, by);
}

// What the book holds by now, in the kernel and the tunnel.
Result<api::Settling> Gateway::bring_about(const lease::Transaction& transaction, const std::vector<lease::DeviceId>& devices) {
  note_history(transaction);
  // Where it is not known what the kernel holds, a change of it could bring back what has ended: all is compared first.
  Status done = catch_up().map([](api::Settling) {});
  if (done) done = parts_.redirect.carry_out(transaction, now());
  if (!done) {
    reconcile_due_ = true;
    parts_.log->error("the kernel did not take a change of leases, it is repaired at the next tick: {}", done.error().message);
  }
  api::Settling settling = 0;
  for (const auto& installed : transaction.install) settling = std::max(settling, parts_.redirect.unsettled(installed));
  const auto fenced = fence(transaction);
  for (const auto device : devices) publish(device, "leases");
  if (done) done = fenced;
  if (!done) return fail(done.error());
  return settling;
}

// The kernel lets no more packets of ended leases through; what it had let through before is not to leave after the answer either.
Status Gateway::fence(const lease::Transaction& transaction) {
  std::vector<tunnel::ClosedFlow> flows;
  for (const auto& gone : transaction.remove) flows.push_back({gone.device_address, gone.protocol, gone.device_port});
  if (flows.empty()) return {};
  // By every way in: a device may have gone over to another a moment ago.
  Status all;
  for (auto* way_in : parts_.ways_in)
    if (auto fenced = way_in->fence(flows); !fenced) {
      parts_.log->error("packets under way of leases that have ended: {}", fenced.error().message);
      if (all) all = std::move(fenced);
    }
  return all;
}

std::vector<lease::DeviceId> Gateway::devices_in(const lease::Transaction& transaction) const {
  std::vector<lease::DeviceId> devices;
  for (const auto& record : transaction.records) {
    if (const auto* put = std::get_if<lease::PutLease>(&record)) devices.push_back(put->lease.device);
    if (const auto* put = std::get_if<lease::PutDevice>(&record)) devices.push_back(put->device.id);
    if (const auto* drop = std::get_if<lease::DropDevice>(&record)) devices.push_back(drop->id);
    if (const auto* drop = std::get_if<lease::DropLease>(&record))
      if (const auto* lease = book_.lease(drop->on)) devices.push_back(lease->device);
  }
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  return devices;
}

void Gateway::tick() {
  // The host slept, or we did: the kernel's timeouts stand still in suspend, the deadlines do not.
  if (now() - ticked_ > late_tick) reconcile_due_ = true;
  ticked_ = now();
  if (!read_book_back()) return;
  // Bounded steps: a large book is renewed in slices, each committed on its own.
  for (int slice = 0; slice < tick_slices_max; ++slice) {
    const auto due = book_.next_deadline();
    if (!due || now() < *due) break;
    const auto transaction = book_.tick(now());
    if (transaction.empty()) break;
    const auto done = carry_out(transaction);
    call_back_lost(transaction);
    if (!done) break;  // logged, and tried again with the next tick
  }
  make_up_for_failures();
  end_restored_sessions();
  refresh_endpoints();
  if (reconcile_due_) {
    if (auto repaired = reconcile(); !repaired) parts_.log->error("the redirects could not be repaired: {}", repaired.error().message);
  }
}

// Leases ran out because nobody looked in time. The tunnel may have heard of their device all along and would say nothing: its next
// handshake is to be a connect again.
void Gateway::call_back_lost(const lease::Transaction& transaction) {
  for (const auto& record : transaction.records) {
    const auto* put = std::get_if<lease::PutDevice>(&record);
    if (put == nullptr || put->device.connected) continue;
    const auto* device = book_.device(put->device.id);
    if (device == nullptr || device->connected || way_in_of(device->id) == nullptr) continue;
    parts_.log->warn("device {} is disconnected: its leases ran out before they could be renewed", device->name);
    depart(device->id);
    for (auto* way_in : parts_.ways_in) way_in->call(device->id);
  }
}

Result<std::size_t> Gateway::reconcile() {
  if (book_due_) return fail(book_unknown());
  reconcile_due_ = true;  // until it is done
  const auto repaired = parts_.redirect.reconcile(book_.redirections(), now());
  if (!repaired) return repaired;
  reconcile_due_ = false;
  repairs_ += *repaired;
  if (*repaired > 0) parts_.log->warn("repaired {} elements of the table inet drpf that were not as the lease book has them", *repaired);
  return repaired;
}

Status Gateway::save_tunnel_state() {
  Status all;
  for (auto* way_in : parts_.ways_in) {
    const auto saved = way_in->save_state();
    if (!saved) {
      note_store(fail(saved.error()));
      if (all) all = fail(saved.error());
    } else if (*saved) {
      note_store({});
    }
  }
  return all;
}

Status Gateway::reconfigure(configuration::Configuration configuration, lease::Policy policy) {
  if (book_due_) return fail(book_unknown());
  const auto transaction = book_.reconfigure(policy, now());
  if (!transaction.empty())
    if (auto committed = commit(transaction); !committed) return committed;
  // From here on the new policy holds, whatever the kernel says now: the records are made for it.
  auto done = after_commit(transaction, std::move(policy), "by a change of the configuration");
  configuration_ = std::move(configuration);
  publish(std::nullopt, "configuration");
  if (!done) return fail(done.error());
  return reconcile().map([](std::size_t) {});
}

void Gateway::set_condition(const std::string& name, std::optional<std::string> warning) {
  if (warning)
    conditions_[name] = std::move(*warning);
  else
    conditions_.erase(name);
}

void Gateway::publish(std::optional<lease::DeviceId> device, std::string_view what) {
  const api::Change change{device, std::string(what)};
  // A listener may end its own subscription while it is called.
  const auto listeners = listeners_;
  for (const auto& [id, listener] : listeners)
    if (listeners_.contains(id)) listener(change);
}

class Gateway::Listener final : public api::Service::Subscription {
 public:
  Listener(Gateway& gateway, std::uint64_t id) : gateway_(gateway), id_(id) {}
  ~Listener() override { gateway_.listeners_.erase(id_); }

 private:
  Gateway& gateway_;
  std::uint64_t id_;
};

std::unique_ptr<api::Service::Subscription> Gateway::subscribe(std::function<void(const api::Change&)> listener) {
  const auto id = next_listener_++;
  listeners_.emplace(id, std::move(listener));
  return std::make_unique<Listener>(*this, id);
}

}  // namespace drpf::gateway
