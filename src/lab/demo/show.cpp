#include "lab/demo/show.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/stage/sockets.h"
#include "lab/stage/wording.h"

namespace drpf::lab::demo {
namespace {

constexpr std::size_t ports_expected = 5;  // of the plan `personal`

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

Status Show::prepare(terminal::Progress& progress) {
  progress.say("the gateway starts");
  Result<system::Process> service = start_private_service(topology_->gateway, private_service_port);
  if (!service) return fail(service.error());
  private_service_ = std::move(*service);
  if (const Status listening = await_listening(topology_->gateway, private_service_port); !listening) return listening;
  Result<system::Process> gateway = start_gateway(topology_->gateway, *executable_, "");
  if (!gateway) return fail(gateway.error());
  gateway_ = std::move(*gateway);
  if (const Status added = add_device(home_1_, "alice"); !added) return added;
  return add_device(home_2_, "bob");
}

Status Show::add_device(Home& home, const std::string& account) {
  if (const auto added = admin_.call({"account", "add", account}); !added) return fail(added.error());
  Result<std::string> configuration = admin_.call({"device", "add", account, home.device});
  if (!configuration) return fail(configuration.error());
  Result<DeviceFile> file = read_device_file(std::move(*configuration));
  if (!file) return fail(file.error());
  home.file = std::move(*file);
  return {};
}

std::vector<Chapter> Show::play(terminal::Progress& progress, const std::function<void(const Chapter&, std::size_t)>& tell) {
  std::vector<Chapter> chapters;
  for (const auto scene : {&Show::connected_with_ports, &Show::reached_from_outside, &Show::standard_port_mapped, &Show::asked_why,
                           &Show::everything_else_closed, &Show::disconnected_and_back, &Show::gateway_killed}) {
    chapters.push_back((this->*scene)(progress));
    progress.clear();
    tell(chapters.back(), chapters.size());
  }
  return chapters;
}

std::pair<std::vector<LeaseRow>, bool> Show::await_leases(const Home& home, Duration limit,
                                                          const std::function<bool(const std::vector<LeaseRow>&)>& enough) const {
  std::vector<LeaseRow> rows;
  const Stopwatch watch;
  do {
    const Result<std::vector<LeaseRow>> all = admin_.leases();
    if (all) rows = rows_of(*all, home.device);
    if (all && enough(rows)) return {rows, true};
    std::this_thread::sleep_for(limits::poll_interval);
  } while (watch.elapsed() < limit);
  return {rows, false};
}

Result<std::string> Show::fetch(const std::string& url) const {
  return topology_->visitor.run({"curl", "-q", "-sS", "--globoff", "--noproxy", "*", "--max-time",
                                 fmt::format("{}", limits::request / std::chrono::seconds(1)), url});
}

Chapter Show::connected_with_ports(terminal::Progress& progress) {
  Chapter chapter{"Two devices behind NAT connected, and each was given 5 ports without asking", {}};
  progress.say("the homes connect");
  const Stopwatch watch;
  Result<system::Process> first = start_drpf_connect(topology_->home_1, *executable_, "home-1", home_1_.file, home_1_log);
  Result<system::Process> second = start_wireguard_go(topology_->home_2, home_2_.file);
  if (!first || !second) {
    chapter.facts.push_back({"connected", false, (first ? second : first).error().message});
    return chapter;
  }
  home_1_.tunnel = std::move(*first);
  home_2_.tunnel = std::move(*second);
  const std::pair<Home*, const char*> homes[] = {{&home_1_, "drpf connect"}, {&home_2_, "wireguard-go"}};
  for (const auto& [home, client] : homes) {
    const auto [rows, given] = await_leases(*home, limits::device_connect, [](const std::vector<LeaseRow>& seen) {
      return !seen.empty() && std::all_of(seen.begin(), seen.end(), [](const LeaseRow& row) { return row.active(); });
    });
    const std::set<std::uint16_t> ports = ports_of(rows);
    home->ports.assign(ports.begin(), ports.end());
    const bool held = given && ports.size() == ports_expected && home->tunnel.running();
    chapter.facts.push_back({fmt::format("given ports: {}", home->device), held,
                             fmt::format("{} ({}): {} within {}{}", home->device, client, say_ports(ports), say_time(watch.elapsed()),
                                         home->tunnel.running() ? "" : "; its program ended")});
  }
  return chapter;
}

Status Show::start_servers() {
  const bool user_namespace = stage_->user_namespace();
  const auto keep = [](Home& home, Result<system::Process> server) -> Status {
    if (!server) return fail(server.error());
    home.servers.push_back(std::move(*server));
    return {};
  };
  const std::pair<Home*, const Machine*> homes[] = {{&home_1_, &topology_->home_1}, {&home_2_, &topology_->home_2}};
  for (const auto& [home, machine] : homes) {
    if (home->ports.empty()) return fail(failure("ports", fmt::format("{} has no ports to serve on", home->device)));
    const Port port(home->ports[0]);
    if (const Status started = keep(*home, start_http(*machine, machine->name(), port, user_namespace)); !started) return started;
    if (const Status started = keep(*home, start_udp_echo(*machine, port, user_namespace)); !started) return started;
  }
  if (const Status started = keep(home_1_, start_pop3(topology_->home_1, user_namespace)); !started) return started;
  if (const Status listening = await_listening(topology_->home_1, Port(home_1_.ports[0])); !listening) return listening;
  if (const Status listening = await_listening(topology_->home_2, Port(home_2_.ports[0])); !listening) return listening;
  return await_listening(topology_->home_1, pop3_port);
}

Fact Show::answered_by_http(const Home& home, const std::string& url_host, const std::string& visitor) {
  const std::string where = fmt::format("{}:{}", url_host, home.ports[0]);
  const Result<std::string> answer = fetch(fmt::format("http://{}/", where));
  const bool held = answer && answer->find(fmt::format("saw {}\n", visitor)) != std::string::npos;
  const std::string name = fmt::format("TCP{}: {}", url_host.starts_with('[') ? " over IPv6" : "", home.device);
  return {name, held, fmt::format("TCP {}: \"{}\"", where, answer ? first_line(*answer) : first_line(answer.error().message))};
}

Fact Show::answered_by_udp(const Home& home) {
  const Endpoint where{*parse_address(gateway_v4), Port(home.ports[0])};
  const Result<std::string> answer = ask_by_udp(where, "hello", limits::request);
  const bool held = answer && answer->starts_with(std::string(visitor_v4) + " hello");
  return {fmt::format("UDP: {}", home.device), held,
          fmt::format("UDP {}: socat in {} saw \"{}\"", drpf::to_string(where), home.device,
                      answer ? first_line(*answer) : answer.error().message)};
}

Chapter Show::reached_from_outside(terminal::Progress& progress) {
  Chapter chapter{fmt::format("Requests from the Internet host {} were answered by the homes, which saw its address", visitor_v4), {}};
  progress.say("servers start in the homes");
  if (const Status started = start_servers(); !started) {
    chapter.facts.push_back({"servers", false, started.error().message});
    return chapter;
  }
  progress.say("the Internet host asks");
  chapter.facts.push_back(answered_by_http(home_1_, gateway_v4, visitor_v4));
  chapter.facts.push_back(answered_by_udp(home_1_));
  chapter.facts.push_back(answered_by_http(home_2_, gateway_v4, visitor_v4));
  chapter.facts.push_back(answered_by_udp(home_2_));
  if (topology_->has_v6) chapter.facts.push_back(answered_by_http(home_1_, fmt::format("[{}]", gateway_v6), visitor_v6));
  return chapter;
}

Chapter Show::standard_port_mapped(terminal::Progress& progress) {
  Chapter chapter{"A leased port mapped to a standard local port works with an unchanged client", {}};
  if (home_1_.ports.size() < ports_expected || home_1_.servers.empty()) {
    chapter.facts.push_back({"POP3", false, "home-1 has no port or no server"});
    return chapter;
  }
  progress.say("a mail is fetched");
  const std::uint16_t port = home_1_.ports[mapped_index];
  const auto mapped = admin_.call({"lease", "set", fmt::format("{}/tcp", port), "--local", fmt::format("{}", pop3_port.value())});
  if (!mapped) {
    chapter.facts.push_back({"POP3", false, mapped.error().message});
    return chapter;
  }
  const std::string url = fmt::format("{}:{}", gateway_v4, port);
  const Result<std::string> mail = fetch(fmt::format("pop3://{}@{}/1", mail_url_user, url));
  const bool held = mail && mail->find(fmt::format("Subject: {}", mail_subject)) != std::string::npos;
  const std::string found = held   ? fmt::format("curl fetched \"Subject: {}\" from Dovecot", mail_subject)
                            : mail ? "another text came"
                                   : mail.error().message;
  chapter.facts.push_back(
      {"POP3", held, fmt::format("pop3://{} -> {} port {}: {}", url, home_1_.device, pop3_port.value(), first_line(found))});
  return chapter;
}

std::set<std::uint16_t> Show::tcp_ports_with_server() const {
  std::set<std::uint16_t> ports;
  if (!home_1_.servers.empty()) ports.insert({home_1_.ports[0], home_1_.ports[mapped_index]});
  if (!home_2_.servers.empty()) ports.insert(home_2_.ports[0]);
  return ports;
}

}  // namespace drpf::lab::demo
