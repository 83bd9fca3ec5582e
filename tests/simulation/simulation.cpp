#include "simulation/simulation.h"

#include <fmt/core.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <algorithm>

namespace drpf::simulation {

using namespace std::chrono_literals;

namespace {

// Every cure of these is another file.
bool is_of_file(const Error& refused) {
  return refused.kind == Error::Kind::configuration || refused.kind == Error::Kind::invalid || refused.code == "change_ends_leases";
}

}  // namespace

Simulation::Simulation(const Options& options, Met& met)
    : options_(options),
      met_(met),
      dice_(options.seed),
      faults_(dice_, met, options.mutation),
      log_(std::make_shared<spdlog::logger>("simulation", std::make_shared<spdlog::sinks::null_sink_mt>())) {
  log_->set_level(spdlog::level::off);
  faults_.trace = [this](std::string_view text) { say(std::string(text)); };
  if (options.real_database)
    disk_ = std::make_unique<SqliteDisk>();
  else
    disk_ = std::make_unique<MemoryDisk>();
  kernel_.flows_checked = options.mutation != Mutation::flows_not_checked;
  surroundings_.file = file_text(0);
}

Simulation::~Simulation() = default;

void Simulation::run() {
  start_process();
  for (step_ = 1; step_ <= steps_per_seed; ++step_) {
    step();
    check();
    if (dice_.one_in(90)) settle();
  }
  settle();
}

// --- the process

void Simulation::start_process() {
  while (!process_.gateway)
    if (!try_to_start()) let_time_pass(dice_.between(100ms, 3s));  // the service manager starts it again
}

// As Daemon::build does it: store, book, redirect, tunnel, gateway, doors.
bool Simulation::try_to_start() {
  cause_ = {Cause::Kind::start, {}, {}, {}};
  cause_.may_end_leases = start_may_end_leases_;
  durable_.work_began = clock_.lived();
  try {
    auto setup = read_setup(surroundings_, false);
    if (!setup) {
      operator_looks_into_it(setup.error());
      return false;
    }
    setup_ = std::move(*setup);
    policy_ = committing_policy_ = setup_.policy();
    kernel_.ephemeral = setup_.configuration.ephemeral;
    auto opened = disk_->open();
    if (!opened) throw Violation("the store cannot be opened: " + opened.error().message);
    process_.redirect = std::make_unique<ModelRedirect>(kernel_, clock_, faults_, dice_);
    process_.store = std::make_unique<FaultyStore>(
        **opened, FaultyStore::World{
                      *disk_, durable_, doubtful_, clock_, faults_, dice_, cause_, committing_policy_,
                      [this](const lease::Transaction& transaction) { committed(transaction); },
                      [this](const lease::Transaction& transaction) { (void)process_.redirect->carry_out(transaction, clock_.now()); }});
    const auto began = clock_.now();
    auto book = gateway::load_book(*process_.store, policy_, {clock_.boot_id(), began, clock_.wall_now()},
                                   start_may_end_leases_ ? gateway::OnLosses::accept : gateway::OnLosses::refuse, *log_);
    if (!book) {
      operator_looks_into_it(book.error());
      crash("on a refused start", false);
      return false;
    }
    start_may_end_leases_ = false;
    file_of_setup_ = surroundings_.file;
    for (const auto* lease : book->leases())
      if (lease->state == lease::LeaseState::active && lease->deadline <= began)
        throw Violation("the gateway starts with a lease that is over");
    if (auto started = process_.redirect->start(ruleset_text(setup_), book->redirections(), clock_.now()); !started) {
      say("start refused: " + started.error().message);
      crash("on a refused start", false);
      return false;
    }
    see_what_was_carried_out();
    if (!removing_.empty()) throw Violation("the gateway has started, and the kernel still holds what was ended before");
    renewing_.clear();
    slept_ = false;
    using tunnel::wireguard_devices::WireGuardWayIn;
    auto way_in = WireGuardWayIn::open(WireGuardWayIn::Settings{}, {}, {*process_.store, clock_, dice_, log_});
    if (!way_in) throw Violation("the keys cannot be loaded: " + way_in.error().message);
    process_.way_in = std::move(*way_in);
    auto tunnel = std::make_unique<ModelTunnel>(clock_, kernel_, faults_);
    process_.tunnel = tunnel.get();
    process_.way_in->carried_by(std::move(tunnel));
    auto gateway = gateway::Gateway::open(setup_.configuration, std::move(*book),
                                          gateway::Parts{*process_.store,
                                                         *process_.redirect,
                                                         {process_.way_in.get()},
                                                         clock_,
                                                         log_,
                                                         clock_.boot_id(),
                                                         [] { return std::vector<api::Finding>{}; },
                                                         [this](const lease::Device&) -> Status {
                                                           if (faults_.strikes(Fault::tunnel_refuses, 6))
                                                             return fail(failure("address_refused", "the simulated link refuses"));
                                                           return {};
                                                         }});
    if (!gateway) {
      say("start refused: " + gateway.error().message);
      crash("on a refused start", false);
      return false;
    }
    process_.gateway = std::move(*gateway);
    process_.host =
        std::make_unique<ModelHost>(ModelHost::World{surroundings_, kernel_, *process_.redirect, faults_,
                                                     [this](const configuration::Setup& next) { committing_policy_ = next.policy(); }});
    process_.reconfiguration = std::make_unique<gateway::Reconfiguration>(
        gateway::Reconfiguration::Parts{*process_.gateway, *process_.host, setup_, clock_, log_});
    process_.gateway->set_reload([this](const api::ReloadOptions& options) { return reload_now(options); });
    process_.admin = std::make_unique<api::AdminApi>(*process_.gateway);
    process_.own = std::make_unique<api::DeviceApi>(*process_.gateway);
    faults_.note("start");
    say("the gateway serves");
    return true;
  } catch (const Crash& crashed) {
    crash(crashed.where, false);
    return false;
  }
}

void Simulation::crash(const char* where, bool reboot) {
  say(fmt::format("the gateway dies {}", where));
  const bool revived = doubtful_ && dice_.one_in(2);
  if (doubtful_) faults_.note(revived ? "doubtful commit: there after the crash" : "doubtful commit: gone after the crash");
  process_.own.reset();
  process_.admin.reset();
  process_.reconfiguration.reset();
  process_.host.reset();
  process_.gateway.reset();
  disk_->crash(revived);
  process_ = {};
  if (revived) {
    // A deadline that it brings forward was committed and never carried out: the kernel keeps the one that was answered before.
    for (const auto& [on, lease] : doubtful_->leases)
      if (const auto before = durable_.leases.find(on);
          before != durable_.leases.end() && before->second.generation == lease.generation && before->second.deadline > lease.deadline)
        renewing_.insert(lease.generation);
    durable_ = *doubtful_;
  }
  doubtful_.reset();
  if (reboot) {
    kernel_.reboot();
    clock_.reboot(dice_.one_in(4) ? dice_.between(10min, 30h) : dice_.between(5s, 5min));
    slept_ = false;
    see_what_was_carried_out();
  }
}

void Simulation::work(const Cause& cause, const std::function<void()>& body) {
  if (!process_.gateway) return;
  cause_ = cause;
  durable_.work_began = clock_.lived();
  committing_policy_ = setup_.policy();
  committed_now_.clear();
  must_be_fenced_.clear();
  process_.tunnel->fenced.clear();
  try {
    body();
    policy_ = process_.gateway->book().policy();
    see_what_was_carried_out();
  } catch (const Crash& crashed) {
    crash(crashed.where, false);
  }
}

void Simulation::committed(const lease::Transaction& transaction) {
  something_happened_ = true;
  for (const auto& removed : transaction.remove) {
    must_be_fenced_.insert({removed.device_address, removed.protocol, removed.device_port});
    removing_.insert(removed.generation);
    committed_now_.insert(removed.generation);
  }
  for (const auto& renewed : transaction.renew) renewing_.insert(renewed.generation);
}

void Simulation::deliver_events(bool all) {
  while (process_.gateway && !process_.tunnel->events.empty()) {
    if (!all && faults_.strikes(Fault::delayed_event, 3)) return;
    const auto event = process_.tunnel->events.front();
    process_.tunnel->events.pop_front();
    const auto told = process_.way_in->event_of(event);
    if (!told) continue;  // its device has been removed meanwhile
    const bool gone = std::holds_alternative<tunnel::DeviceDisconnected>(*told);
    Cause cause{gone ? Cause::Kind::disconnect : Cause::Kind::connect, {}, {}, {}};
    cause.device = std::visit([](const auto& one) { return one.device; }, *told);
    say(fmt::format("the gateway hears that device {} {}", static_cast<std::uint32_t>(*cause.device), gone ? "is gone" : "is there"));
    work(cause, [&] { process_.gateway->on_tunnel_event(*process_.way_in, *told); });
  }
}

void Simulation::inspect() {
  if (!kernel_.foreign_change) return;
  // As daemon::SelfRepair does it.
  say("the gateway finds that somebody changed its table");
  work({Cause::Kind::time, {}, {}, {}}, [&] {
    kernel_.foreign_change = false;
    if (!process_.gateway->is_book_committed() || !process_.redirect->restore(process_.gateway->book().redirections(), clock_.now()) ||
        !process_.gateway->reconcile())
      kernel_.foreign_change = true;
  });
}

// The start was refused: the file is put right, or the leases that it ends are given up by name, or the host gets its address back.
void Simulation::operator_looks_into_it(const Error& refused) {
  say("start refused: " + refused.message);
  faults_.note("start refused: " + refused.code);
  if (!faults_.quiet && !dice_.one_in(3)) return;  // not yet
  if (refused.code == "public_address_missing") {
    surroundings_.v4 = first_v4;
    surroundings_.has_second = true;
  } else if (refused.code == "change_ends_leases" && !faults_.quiet && dice_.one_in(2)) {
    start_may_end_leases_ = true;
  } else if (is_of_file(refused)) {
    surroundings_.file = file_of_setup_.empty() ? file_text(0) : file_of_setup_;
  }
}

Result<std::vector<std::string>> Simulation::reload_now(const api::ReloadOptions& options) {
  auto asked = options;
  if (faults_.mutated(Mutation::reload_ends_leases)) asked.end_leases = true;
  const auto file = surroundings_.file;
  auto changed = process_.reconfiguration->reload(asked);
  faults_.note(changed ? "reload" : "reload refused: " + changed.error().code);
  say(changed ? "  the file is taken" : "  the file is not taken: " + changed.error().message);
  if (!changed && changed.error().code != "kernel_behind") return changed;
  file_of_setup_ = file;
  const auto read = read_setup(surroundings_, true);
  if (!read || read->configuration != setup_.configuration || process_.gateway->book().policy() != read->policy())
    throw Violation("a reload was answered with success, and the gateway does not run by its file");
  return changed;
}

void Simulation::follow_hosts() {
  work({Cause::Kind::reconfigure, {}, {}, {}}, [&] {
    const auto followed = process_.reconfiguration->follow_hosts();
    if (followed && *followed) faults_.note("a public address was followed");
    process_.reconfiguration->mend();
  });
}

// The devices that there are; new ones come without being connected.
void Simulation::follow_devices() {
  std::erase_if(clients_, [&](const auto& client) { return !durable_.peers.contains(client.first); });
  for (const auto& [id, peer] : durable_.peers) clients_.try_emplace(id, Client{peer.public_key, {}, false});
}

}  // namespace drpf::simulation
