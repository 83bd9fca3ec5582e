// What happens in a simulated day.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "simulation/simulation.h"

namespace drpf::simulation {

using namespace std::chrono_literals;
using Kind = Cause::Kind;

void Simulation::step() {
  using Step = void (Simulation::*)();
  // With programs that ask for ports, and without.
  static constexpr std::array<std::tuple<std::uint32_t, std::uint32_t, Step>, 9> steps{{{20, 22, &Simulation::pass_time},
                                                                                        {18, 20, &Simulation::device_comes_goes_or_moves},
                                                                                        {12, 14, &Simulation::device_asks},
                                                                                        {16, 18, &Simulation::administrator_asks},
                                                                                        {14, 14, &Simulation::visit},
                                                                                        {5, 5, &Simulation::host_trouble},
                                                                                        {2, 2, &Simulation::operator_changes_the_file},
                                                                                        {5, 5, &Simulation::repeat_request},
                                                                                        {8, 0, &Simulation::programs_ask}}};
  if (!process_.gateway && dice_.one_in(2)) start_process();
  auto chosen = dice_.below(100);
  for (const auto& [weight, without, what] : steps) {
    const auto own = options_.mappings ? weight : without;
    if (chosen < own) {
      (this->*what)();
      break;
    }
    chosen -= own;
  }
  follow_devices();
}

void Simulation::pass_time() {
  const auto choice = dice_.below(10);
  Duration time = dice_.between(1ms, 3s);
  if (choice >= 5) time = dice_.between(10s, 10min);
  if (choice == 9) time = dice_.between(10min, 50min);
  if (choice < 3 && process_.gateway) {
    // To the moment when something is due, and around it.
    const auto due = process_.gateway->book().next_deadline();
    if (due && *due > clock_.now()) time = std::max(Duration(1ms), *due - clock_.now() + dice_.between(-2ms, 2ms));
  }
  say(fmt::format("{} ms pass", time / 1ms));
  if (process_.gateway && faults_.strikes(Fault::stall, 6)) {
    clock_.pass(time);
    return;
  }
  let_time_pass(time);
}

// The process does what it does by itself: it is called once a second, at least when something is due.
void Simulation::let_time_pass(Duration time) {
  const auto end = clock_.now() + time;
  while (true) {
    for (const auto& [id, client] : clients_)
      if (client.online && process_.tunnel) process_.tunnel->hear(client.key, client.endpoint);
    deliver_events(false);
    if (process_.gateway) {
      process_.tunnel->notice_silence();
      deliver_events(false);
      work({Kind::time, {}, {}, {}}, [&] { process_.gateway->tick(); });
      if (process_.gateway && dice_.one_in(20)) work({Kind::time, {}, {}, {}}, [&] { (void)process_.gateway->save_tunnel_state(); });
      if (process_.gateway) inspect();
      if (process_.gateway) follow_hosts();
      if (process_.gateway) process_.redirect->purge_waiting();
      if (std::exchange(something_happened_, false)) check();
    }
    if (clock_.now() >= end) return;
    auto next = end;
    if (process_.gateway) {
      const auto due = process_.gateway->book().next_deadline();
      const auto wake = clock_.now() + gateway::Gateway::late_tick - 10ms;
      next = std::min({next, wake, due ? std::max(*due, clock_.now() + 1s) : wake});
    }
    clock_.pass(next - clock_.now());
  }
}

void Simulation::device_comes_goes_or_moves() {
  if (clients_.empty()) return administrator_asks();
  auto& client = clients_.at(any(clients_));
  const auto somewhere = [&] {
    return Endpoint{Address::v4(0xcb007100 + dice_.below(6)), Port{static_cast<std::uint16_t>(40000 + dice_.below(3))}};
  };
  if (!client.online) {
    client.online = true;
    client.endpoint = somewhere();
    say(fmt::format("a device comes from {}", to_string(client.endpoint)));
  } else if (dice_.one_in(2)) {
    client.endpoint = somewhere();
    say(fmt::format("a device moves to {}", to_string(client.endpoint)));
  } else {
    client.online = false;
    say("a device falls silent");
  }
  if (client.online && process_.tunnel) process_.tunnel->hear(client.key, client.endpoint);
  deliver_events(false);
}

void Simulation::device_asks() {
  if (clients_.empty() || !process_.gateway) return;
  const auto id = any(clients_);
  const auto& client = clients_.at(id);
  if (!client.online || !process_.tunnel->forwards(client.key, client.endpoint.address)) return;
  const auto& book = process_.gateway->book();
  Request request{id, "GET", "/v1/self", "", {}};
  const auto own = book.leases_of(id);
  const auto choice = dice_.below(10);
  if (choice == 0) {
    request.method = "POST";
    request.target = "/v1/self/disconnect";
    request.cause = {Kind::disconnect, id, {}, {}};
  } else if (choice < 3 && !own.empty()) {
    const auto& on = own[dice_.below(static_cast<std::uint32_t>(own.size()))]->on;
    request.method = "DELETE";
    request.target = fmt::format("/v1/self/leases/{}/{}/{}", on.host, to_string(on.protocol), to_string(on.port));
    request.cause = {Kind::remove_lease, id, {}, on};
  } else if (choice < 9) {
    request.method = "POST";
    request.target = "/v1/self/leases";
    request.body = fmt::format(R"({{"lifetime_s":{}{}{}}})", 60 + dice_.below(1200),
                               dice_.one_in(2) ? fmt::format(R"(,"port":{})", 19999 + dice_.below(20)) : "",
                               dice_.one_in(3) ? R"(,"protocol":"tcp")" : "");
    request.cause = {Kind::add_lease, id, {}, {}};
  }
  const bool leaves = request.cause.kind == Kind::disconnect;
  send(request);
  if (const auto gone = clients_.find(id); leaves && gone != clients_.end()) gone->second.online = false;
}

void Simulation::administrator_asks() {
  if (!process_.gateway) return;
  const auto& book = process_.gateway->book();
  const auto accounts = book.accounts();
  const auto devices = book.devices();
  const auto leases = book.leases();
  const auto one_of = [&](const auto& list) { return list[dice_.below(static_cast<std::uint32_t>(list.size()))]; };
  Request request;
  const auto choice = dice_.below(20);
  if (accounts.size() < 2 || choice == 0) {
    const auto name = fmt::format("a{}", names_++);
    request = {{},
               "POST",
               "/v1/accounts",
               fmt::format(R"({{"name":"{}","plan":"{}"}})", name, dice_.one_in(2) ? "business" : "personal"),
               {Kind::add_account, {}, name, {}}};
  } else if (devices.size() < 3 || choice < 4) {
    request = {{},
               "POST",
               "/v1/devices",
               fmt::format(R"({{"account":"{}","name":"d{}"}})", one_of(accounts)->name, names_++),
               {Kind::add_device, {}, {}, {}}};
  } else if (choice < 7) {
    const auto name = one_of(accounts)->name;
    auto body = fmt::format(R"({{"suspended":{}}})", dice_.one_in(2) ? "true" : "false");
    if (dice_.one_in(3)) body = fmt::format(R"({{"plan":"{}"}})", dice_.one_in(2) ? "business" : "personal");
    request = {{}, "PATCH", "/v1/accounts/" + name, body, {Kind::set_account, {}, name, {}}};
  } else if (choice == 7 && dice_.one_in(3)) {
    const auto name = one_of(accounts)->name;
    request = {{}, "DELETE", "/v1/accounts/" + name, "", {Kind::remove_account, {}, name, {}}};
  } else if (choice == 8) {
    const auto* device = one_of(devices);
    request = {{}, "DELETE", "/v1/devices/" + device->name, "", {Kind::remove_device, device->id, {}, {}}};
  } else if (choice < 13) {
    const auto* device = one_of(devices);
    request = {{},
               "POST",
               "/v1/leases",
               fmt::format(R"({{"device":"{}","count":{}{}{}}})", device->name, 1 + dice_.below(3),
                           dice_.one_in(2) ? fmt::format(R"(,"port":{})", 19999 + dice_.below(20)) : "",
                           dice_.one_in(4) ? R"(,"host":"second")" : ""),
               {Kind::add_lease, device->id, {}, {}}};
  } else if (choice < 15) {
    request = {{}, "GET", dice_.one_in(2) ? "/v1/devices" : "/v1/devices/" + one_of(devices)->name + "/config", "", {}};
  } else if (!leases.empty()) {
    // To close a port, or to move it: to another local port, or by closing it here and opening it there.
    const auto on = one_of(leases)->on;
    const auto target = fmt::format("/v1/leases/{}/{}/{}", on.host, to_string(on.protocol), to_string(on.port));
    if (choice == 15)
      request = {{}, "PATCH", target, fmt::format(R"({{"local_port":{}}})", 20000 + dice_.below(18)), {Kind::set_lease, {}, {}, on}};
    else
      request = {{}, "DELETE", target, "", {Kind::remove_lease, {}, {}, on}};
    if (choice > 17) {
      send(request);
      if (!process_.gateway || process_.gateway->book().devices().empty()) return;
      const auto* device = one_of(process_.gateway->book().devices());
      request = {{},
                 "POST",
                 "/v1/leases",
                 fmt::format(R"({{"device":"{}","port":{},"host":"{}"}})", device->name, on.port.value(), on.host),
                 {Kind::add_lease, device->id, {}, {}}};
    }
  } else {
    return;
  }
  if (faults_.strikes(Fault::reordered_request, 12)) {
    late_ = request;
    return;
  }
  send(request);
  if (late_ && dice_.one_in(2)) send(*std::exchange(late_, {}));
}

void Simulation::repeat_request() {
  if (history_.empty() || !faults_.strikes(Fault::duplicate_request, 2)) return;
  const auto request = history_[dice_.below(static_cast<std::uint32_t>(history_.size()))];
  if (request.device && !clients_.contains(*request.device)) return;
  send(request);
}

void Simulation::remember(const Request& request) {
  constexpr std::size_t history_max = 12;
  history_.push_back(request);
  if (history_.size() > history_max) history_.pop_front();
}

void Simulation::send(const Request& request) {
  remember(request);
  const auto status = ask(request);
  // Without an answer the client tries again, until it has one.
  const bool unheard = status == 0 || faults_.strikes(Fault::lost_answer, 10);
  if (!unheard || dice_.one_in(3)) return;
  if (!process_.gateway) start_process();
  say("  again:");
  ask(request);
}

// The status of the answer; 0 when the process died over it.
unsigned Simulation::ask(const Request& request) {
  unsigned status = 0;
  say(fmt::format("{} {} {} {}", request.device ? fmt::format("device {}:", static_cast<std::uint32_t>(*request.device)) : "administrator:",
                  request.method, request.target, request.body));
  auto cause = request.cause;
  if (cause.kind == Kind::remove_device && process_.gateway) {
    // By its name; a device that was removed and made again has another identity.
    const auto* named = process_.gateway->book().device(std::string_view(request.target).substr(request.target.rfind('/') + 1));
    if (named != nullptr) cause.device = named->id;
  }
  work(cause, [&] {
    net::Request http;
    http.method = request.method;
    auto target = net::parse_target(request.target);
    http.path = target->path;
    http.query = target->query;
    http.host = "10.77.0.1:5351";
    http.content_type = "application/json";
    http.body = request.body;
    net::Response response;
    if (request.device) {
      const auto* device = process_.gateway->book().device(*request.device);
      if (device == nullptr) {
        status = 410;
        return;
      }
      http.peer = Endpoint{device->tunnel_v4, Port{50000}};
      process_.own->handle(http, [&response](net::Response given) { response = std::move(given); });
    } else {
      process_.admin->handle(http, [&response](net::Response given) { response = std::move(given); });
    }
    status = response.status;
    say(fmt::format("  answer {} {}", status, response.body.substr(0, 150)));
    faults_.note(fmt::format("answer {} to {} {}", status / 100 * 100, request.method,
                             request.target.substr(0, request.target.find('/', request.target.starts_with("/v1/self/") ? 9 : 4))));
    check_answered(request, response);
  });
  return status;
}

void Simulation::visit() {
  // Visitors do not know what is leased: they go on with what they began, and try what there is.
  const auto visitor = dice_.below(3);
  for (int packet = 0; packet < 3; ++packet) {
    if (dice_.one_in(3) && !kernel_.outward().empty()) {
      const auto from = any(kernel_.outward());
      if (const auto sent = kernel_.send(from, visitor)) passed(sent->second, sent->first);
      continue;
    }
    PortKey to{*parse_address(dice_.one_in(3) ? "198.51.100.2" : "198.51.100.1"), dice_.one_in(2) ? Protocol::tcp : Protocol::udp,
               Port{static_cast<std::uint16_t>(20000 + dice_.below(18))}};
    if (!kernel_.flows().empty() && dice_.one_in(2))
      to = any(kernel_.flows()).second;
    else if (!kernel_.inward().empty() && dice_.one_in(2))
      to = any(kernel_.inward());
    if (const auto arrived = kernel_.visit(visitor, to)) passed(*arrived, to);
  }
}

void Simulation::host_trouble() {
  if (faults_.strikes(Fault::wall_jump_forward, 4)) clock_.jump_wall(dice_.between(1s, 30h));
  if (faults_.strikes(Fault::wall_jump_back, 4)) clock_.jump_wall(-dice_.between(1s, 30h));
  if (faults_.strikes(Fault::suspend, 4)) {
    clock_.sleep(dice_.between(4s, dice_.one_in(3) ? 10h : 20min));
    slept_ = true;
    if (process_.gateway && dice_.one_in(2)) let_time_pass(1ms);
  }
  if (faults_.strikes(Fault::reboot, 4)) {
    crash("with the whole host", true);
    if (dice_.one_in(2)) start_process();
  }
  if (faults_.strikes(Fault::foreign_flush, 4)) kernel_.flush();
  if (faults_.strikes(Fault::foreign_removal, 4)) {
    if (!kernel_.inward().empty()) kernel_.remove_public(any(kernel_.inward()));
    if (!kernel_.live().empty()) kernel_.remove_live(any(kernel_.live()));
    kernel_.foreign_change = true;
  }
  if (process_.gateway && faults_.strikes(Fault::crash, 4)) crash("between two steps", false);
}

// Another DHCP lease, a cable, programs that come and go.
void Simulation::host_changes() {
  const auto choice = dice_.below(6);
  if (choice == 0) surroundings_.v4 = dice_.one_in(2) ? first_v4 : other_v4;
  if (choice == 1) surroundings_.v4.reset();
  if (choice == 2) surroundings_.v6 = surroundings_.v6 ? std::nullopt : std::optional(first_v6);
  if (choice == 3 && dice_.one_in(3)) surroundings_.has_second = !surroundings_.has_second;
  if (choice >= 4) {
    const configuration::Listener one{dice_.one_in(2) ? Protocol::tcp : Protocol::udp,
                                      Port{static_cast<std::uint16_t>(20000 + dice_.below(18))}};
    if (!surroundings_.listeners.erase(one)) surroundings_.listeners.insert(one);
  }
  say("something changes at the host");
}

// A good file, a half-written one, or one with a typing mistake; and then it is read again, or forgotten until the next start.
void Simulation::operator_changes_the_file() {
  if (dice_.one_in(2)) host_changes();
  // Most often what was there at first; another tunnel prefix is rare.
  auto variant = dice_.one_in(2) ? 0 : dice_.below(file_variants);
  if (!dice_.one_in(4)) variant &= ~16U;
  surroundings_.file = file_text(variant);
  const auto choice = dice_.below(10);
  if (choice == 0) surroundings_.file.resize(dice_.below(static_cast<std::uint32_t>(surroundings_.file.size())));
  if (choice == 1) surroundings_.file += "nonsense = 1\n";
  say(fmt::format("the operator writes file {}{}", variant, choice == 0 ? ", half of it" : choice == 1 ? ", with a mistake" : ""));
  if (dice_.one_in(4)) return;
  reload(dice_.one_in(3));
}

void Simulation::reload(bool end_leases) {
  Request request{{}, "POST", "/v1/reload", end_leases ? R"({"end_leases":true})" : "{}", {Kind::reconfigure, {}, {}, {}}};
  request.cause.may_end_leases = end_leases;
  ask(request);
}

// Nothing goes wrong any more: what must be true then?
void Simulation::settle() {
  say("--- settle");
  faults_.quiet = true;
  start_process();
  surroundings_.v4 = surroundings_.v4.value_or(first_v4);
  surroundings_.has_second = true;
  surroundings_.file = file_of_setup_;
  let_time_pass(3s);
  if (ask({{}, "POST", "/v1/reload", "{}", {Kind::reconfigure, {}, {}, {}}}) != 200)
    throw Violation("settled, and the file that the gateway runs by is not taken");
  if (late_) send(*std::exchange(late_, {}));
  follow_devices();
  deliver_events(true);
  let_time_pass(3s);
  deliver_events(true);
  let_time_pass(ModelTunnel::disconnect_after + 2 * gateway::Gateway::endpoint_refresh);
  deliver_events(true);
  let_time_pass(3s);
  check();
  check_settled();
  follow_devices();
  faults_.note("settled");
  say("--- settled");
  faults_.quiet = false;
}

}  // namespace drpf::simulation
