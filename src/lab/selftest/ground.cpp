#include "lab/selftest/ground.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "lab/selftest/limits.h"
#include "lab/stage/limits.h"
#include "lab/stage/stage.h"
#include "net/http_message.h"

namespace drpf::lab::selftest {
namespace {

namespace json = boost::json;

constexpr const char* visitor_v4 = "198.51.100.200";
constexpr const char* visitor_v6 = "2001:db8:51::200";

Result<Actor> make_actor(const std::string& name, const std::string& wan_v4, const std::optional<std::string>& wan_v6) {
  Result<lab::Machine> machine = lab::Machine::make("the machine of " + name);
  if (!machine) return fail(machine.error());
  Result<Watch> watch = Watch::on(*machine);
  if (!watch) return fail(watch.error());
  Actor actor{name, std::move(*machine), std::move(*watch), *parse_address(wan_v4), std::nullopt};
  if (wan_v6) actor.wan_v6 = *parse_address(*wan_v6);
  return actor;
}

// The visitor's end of the cable is the next hop: .254 of the machine's network.
Status wire(const lab::Machine& visitor, const Actor& actor) {
  const std::string end = "to-" + actor.name;
  const Prefix network(actor.wan_v4, 24);
  const std::string hop = to_string(network.nth(254));
  std::string near = lab::cable(end, actor.machine, public_interface) + fmt::format("addr add {}/24 dev {}\n", hop, end);
  std::string far = fmt::format("link set lo up\naddr add {}/24 dev {}\n", to_string(actor.wan_v4), public_interface);
  std::string hop_v6;
  if (actor.wan_v6) {
    hop_v6 = to_string(Prefix(*actor.wan_v6, 64).nth(254));
    near += fmt::format("addr add {}/64 dev {} nodad\n", hop_v6, end);
    far += fmt::format("addr add {}/64 dev {} nodad\n", to_string(*actor.wan_v6), public_interface);
  }
  near += fmt::format("link set {} up\n", end);
  far += fmt::format("link set {} up\nroute add default via {}\n", public_interface, hop);
  if (const Status done = lab::configure(visitor, near, {&actor.machine}); !done) return done;
  if (const Status done = lab::configure(actor.machine, far); !done) return done;
  if (hop_v6.empty()) return {};
  const auto added = actor.machine.run({"ip", "-6", "route", "add", "default", "via", hop_v6, "dev", public_interface});
  return added ? Status() : fail(added.error());
}

}  // namespace

Result<Ground> Ground::build(const system::Fd& executable, configuration::LabConfiguration configuration) {
  bool v6 = false;
  std::optional<Address> public_v4, public_v6;
  for (const Address& address : configuration.addresses) v6 = v6 || address.is_v6();
  public_v4 = configuration.settings.hosts.front().v4;
  public_v6 = configuration.settings.hosts.front().v6;
  if (!public_v4)
    return fail(
        failure("selftest", "a gateway without a public IPv4 address cannot be tried yet", "give the first [[host]] an ipv4 address"));
  const auto v6_address = [&](const char* text) { return v6 ? std::optional<std::string>(text) : std::nullopt; };
  Result<lab::Machine> visitor = lab::Machine::present("the Internet host");
  if (!visitor) return fail(visitor.error());
  Result<lab::Machine> machine = lab::Machine::make("the gateway");
  if (!machine) return fail(machine.error());
  Result<Watch> visitor_watch = Watch::on(*visitor);
  if (!visitor_watch) return fail(visitor_watch.error());
  Result<Watch> gateway_watch = Watch::on(*machine);
  if (!gateway_watch) return fail(gateway_watch.error());
  Result<Actor> attacker = make_actor("attacker", "203.0.113.11", v6_address("2001:db8:a::11"));
  if (!attacker) return fail(attacker.error());
  Result<Actor> owner = make_actor("owner", "192.0.2.22", v6_address("2001:db8:b::22"));
  if (!owner) return fail(owner.error());
  Result<Actor> second = make_actor("second", "198.18.3.33", v6_address("2001:db8:c::33"));
  if (!second) return fail(second.error());
  Ground ground{.executable = &executable,
                .configuration = std::move(configuration),
                .visitor = std::move(*visitor),
                .gateway_machine = std::move(*machine),
                .visitor_watch = std::move(*visitor_watch),
                .gateway_watch = std::move(*gateway_watch),
                .attacker = std::move(*attacker),
                .owner = std::move(*owner),
                .second = std::move(*second),
                .public_v4 = public_v4,
                .public_v6 = public_v6};
  ground.has_v6 = public_v6 && ground.settings().tunnel_v6.has_value();

  std::vector<std::string> forwarding{"net/ipv4/ip_forward=1"};
  if (v6) {
    forwarding.push_back("net/ipv6/conf/all/disable_ipv6=0");
    forwarding.push_back("net/ipv6/conf/all/forwarding=1");
    for (const auto* one : {&ground.gateway_machine, &ground.attacker.machine, &ground.owner.machine, &ground.second.machine})
      if (const Status set = lab::set_sysctls(*one, {"net/ipv6/conf/all/disable_ipv6=0"}); !set) return fail(set.error());
  }
  if (const Status set = lab::set_sysctls(ground.visitor, forwarding); !set) return fail(set.error());
  // Attackers write any source they like; nothing of the lab itself may stand in the way of that.
  for (const auto* one : {&ground.visitor, &ground.gateway_machine})
    if (const Status set = lab::set_sysctls(*one, {"net/ipv4/conf/all/rp_filter=0", "net/ipv4/conf/default/rp_filter=0"}); !set)
      return fail(set.error());

  std::string near = "link set lo up\n" + lab::cable("to-gateway", ground.gateway_machine, public_interface) +
                     fmt::format("addr add {}/24 dev to-gateway\n", visitor_v4);
  std::string far = "link set lo up\n";
  for (const Address& address : ground.configuration.addresses)
    far += fmt::format("addr add {}/{} dev {}{}\n", to_string(address), address.is_v4() ? 24 : 64, public_interface,
                       address.is_v6() ? " nodad" : "");
  far += fmt::format("link set {} up\nroute add default via {}\n", public_interface, visitor_v4);
  if (v6) near += fmt::format("addr add {}/64 dev to-gateway nodad\n", visitor_v6);
  if (const Status done = lab::configure(ground.visitor, near + "link set to-gateway up\n", {&ground.gateway_machine}); !done)
    return fail(done.error());
  if (const Status done = lab::configure(ground.gateway_machine, far); !done) return fail(done.error());
  if (v6) {
    const auto added = ground.gateway_machine.run({"ip", "-6", "route", "add", "default", "via", visitor_v6, "dev", public_interface});
    if (!added) return fail(added.error());
  }
  // The Internet host sends what is for the inside of the tunnels to the gateway, as a neighbour on its network can.
  for (const auto& prefix : {std::optional(ground.settings().tunnel_v4), ground.has_v6 ? ground.settings().tunnel_v6 : std::nullopt}) {
    if (!prefix) continue;
    const auto routed = ground.visitor.run({"ip", prefix->family() == Family::v4 ? "-4" : "-6", "route", "replace", to_string(*prefix),
                                            "via", to_string(ground.gateway_public(prefix->family()))});
    if (!routed) return fail(routed.error());
  }
  for (const Actor* actor : {&ground.attacker, &ground.owner, &ground.second})
    if (const Status done = wire(ground.visitor, *actor); !done) return fail(done.error());
  return ground;
}

Address Ground::visitor_address(Family family) const { return *parse_address(family == Family::v4 ? visitor_v4 : visitor_v6); }

Status Ground::start_gateway() {
  Result<system::Process> started = lab::start_gateway(gateway_machine, *executable, configuration.text);
  if (!started) return fail(started.error());
  gateway = std::move(*started);
  return {};
}

Status Ground::connect(Actor& actor, Family outer) {
  const api_client::AdminClient admin(lab::gateway_socket);
  std::string target = "/v1/devices/" + actor.name + "/config";
  if (outer == Family::v6) target += "?endpoint=" + net::percent_encode(to_string(gateway_public(Family::v6)));
  const auto answer = admin.get(target);
  if (!answer) return fail(answer.error());
  Result<lab::DeviceFile> file = lab::read_device_file(api_client::lines_of(*answer, "config"));
  if (!file) return fail(file.error());
  actor.file = std::move(*file);
  // The gateway is what is tried here: what it lets through is not to be held up by the device's own fences.
  Result<system::Process> tunnel =
      lab::start_drpf_connect(actor.machine, *executable, actor.name, actor.file, fmt::format("{}/{}.log", lab::stage_folder, actor.name),
                              {"--no-kill-switch", "--let-in", "all"});
  if (!tunnel) return fail(tunnel.error());
  actor.tunnel = std::move(*tunnel);
  return {};
}

Status Ground::open(terminal::Progress& progress) {
  progress.say("the gateway starts");
  if (const Status started = start_gateway(); !started) return started;
  const api_client::AdminClient admin(lab::gateway_socket);
  for (const char* account : {"mallory", "owner"})
    if (const auto added = admin.post("/v1/accounts", json::object{{"name", account}, {"plan", "selftest"}}); !added)
      return fail(added.error());
  for (Actor* actor : {&attacker, &owner, &second}) {
    const char* account = actor == &attacker ? "mallory" : "owner";
    if (const auto added = admin.post("/v1/devices", json::object{{"account", account}, {"name", actor->name}}); !added)
      return fail(added.error());
    const bool over_v6 = has_v6 && actor == &owner && !settings().entry_v4;
    if (const Status started = connect(*actor, over_v6 ? Family::v6 : Family::v4); !started) return started;
  }
  progress.say("the devices connect");
  for (Actor* actor : {&attacker, &owner, &second})
    if (!await_active(*actor, lab::limits::device_connect))
      return fail(lab::not_up("drpf connect of " + actor->name, actor->tunnel, lab::limits::device_connect,
                              fmt::format("{}/{}.log", lab::stage_folder, actor->name)));
  return {};
}

Status Ground::stand_in_for_tunnel() const {
  const std::string& tunnel = settings().tunnel_interface;
  std::string lines =
      fmt::format("link add {0} type veth peer name stand-in\nlink set {0} arp off up\nlink set stand-in up\naddr add {1}/{2} dev {0}\n",
                  tunnel, to_string(settings().tunnel_v4.nth(1)), settings().tunnel_v4.length());
  if (settings().tunnel_v6)
    lines += fmt::format("addr add {}/{} dev {} nodad\n", to_string(settings().tunnel_v6->nth(1)), settings().tunnel_v6->length(), tunnel);
  return lab::configure(gateway_machine, lines);
}

Status Ground::revive() {
  (void)gateway_machine.run({"ip", "link", "del", settings().tunnel_interface});  // the one that stood in, if it was made
  if (const Status started = start_gateway(); !started) return started;
  // The leases are there at once; the tunnels are when a visitor comes through.
  for (Actor* actor : {&attacker, &owner, &second})
    if (!await_active(*actor, limits::reopening) || !await_visit(*actor, limits::reopening))
      return fail(failure("lease", fmt::format("{} was not connected again", actor->name)));
  return {};
}

Result<std::vector<lab::LeaseRow>> Ground::leases() const {
  const auto answer = api_client::AdminClient(lab::gateway_socket).get("/v1/leases");
  if (!answer) return fail(answer.error());
  return lab::parse_leases(json::serialize(*answer));
}

bool Ground::await_active(const Actor& actor, Duration limit) const {
  for (const auto deadline = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < deadline;
       std::this_thread::sleep_for(lab::limits::poll_interval)) {
    const auto rows = leases();
    if (!rows) continue;
    const auto own = lab::rows_of(*rows, actor.name);
    if (!own.empty() && std::all_of(own.begin(), own.end(), [](const lab::LeaseRow& row) { return row.active(); })) return true;
  }
  return false;
}

bool Ground::await_visit(Actor& actor, Duration limit) {
  const auto rows = leases();
  const auto knocker = Udp::open(visitor, {visitor_address(Family::v4), Port()});
  if (!rows || !knocker) return false;
  const auto own = lab::rows_of(*rows, actor.name);
  const auto row = std::find_if(own.begin(), own.end(), [&](const lab::LeaseRow& one) {
    return one.active() && one.protocol == "udp" && one.public_address.find(':') == std::string::npos;
  });
  if (row == own.end()) return false;
  const std::string knock = token();
  for (const auto deadline = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < deadline;) {
    knocker->send({*parse_address(row->public_address), Port(row->public_port)}, knock);
    if (actor.watch.awaits(knock, limits::knock_interval)) return true;
  }
  return false;
}

Result<Port> Ground::lease(const Actor& to, std::optional<Port> port) const {
  json::object body{{"device", to.name}, {"count", 1}, {"host", settings().hosts.front().name}};
  if (port) body["port"] = port->value();
  const auto answer = api_client::AdminClient(lab::gateway_socket).post("/v1/leases", body);
  if (!answer) return fail(answer.error());
  const auto rows = lab::parse_leases(json::serialize(*answer));
  if (!rows) return fail(rows.error());
  if (rows->empty() || !rows->front().active()) return fail(failure("lease", "the lease is not active"));
  return Port(rows->front().public_port);
}

Status Ground::end_lease(Port port) const {
  const api_client::AdminClient admin(lab::gateway_socket);
  const auto all = admin.get("/v1/leases");
  if (!all) return fail(all.error());
  std::set<std::string> targets;
  for (const auto& row : all->as_array())
    if (api_client::number_of(row, "public_port") == port.value())
      targets.insert(fmt::format("/v1/leases/{}/{}/{}", net::percent_encode(api_client::text_of(row, "host")),
                                 api_client::text_of(row, "protocol"), to_string(port)));
  if (targets.empty()) return fail(not_found("lease", fmt::format("there is no lease on port {}", to_string(port))));
  for (const auto& target : targets)
    if (const auto removed = admin.remove(target); !removed) return fail(removed.error());
  return {};
}

std::string Ground::token() { return fmt::format("drpf-selftest-{:06}", ++tokens); }

void Ground::forget() {
  for (Watch* watch : {&visitor_watch, &gateway_watch, &attacker.watch, &owner.watch, &second.watch}) watch->forget();
}

}  // namespace drpf::lab::selftest
