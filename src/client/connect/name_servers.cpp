#include "client/connect/name_servers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/connect/lent_rights.h"
#include "core/time.h"
#include "system/process.h"

namespace drpf::client {
namespace {

constexpr std::size_t resolv_conf_size_max = 64 * 1024;
constexpr Duration program_time_max = std::chrono::seconds(5);
constexpr const char* resolved_socket = "/run/systemd/resolve/io.systemd.Resolve";

Status run(std::vector<std::string> arguments, std::string input = {}) {
  system::Command command;
  const auto name = arguments.front();
  command.arguments = std::move(arguments);
  command.input = std::move(input);
  command.prepare = lend_network;
  const auto output = system::run(command, program_time_max);
  if (!output) return fail(output.error());
  if (output->exit_code == 0) return {};
  return fail(failure("dns_not_set", fmt::format("{} said: {}", name, output->err.substr(0, output->err.find('\n')))));
}

// The program alone does not help: resolvectl speaks to a daemon, which another network namespace may not have.
bool resolved_runs() { return ::access(resolved_socket, F_OK) == 0 && !system::find_program("resolvectl").empty(); }
bool resolvconf_there() { return !system::find_program("resolvconf").empty(); }

std::string content_of(const char* path) {
  std::ifstream file(path);
  std::string text(resolv_conf_size_max, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

constexpr const char* resolved_list = "/run/systemd/resolve/resolv.conf";  // the servers of all interfaces

std::vector<Address> all_name_servers_in(std::string_view resolv_conf) {
  std::vector<Address> servers;
  std::istringstream lines{std::string(resolv_conf)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::string value;
    if (!(words >> word >> value) || word != "nameserver") continue;
    if (const auto address = parse_address(value)) servers.push_back(*address);  // with a zone (fe80::1%eth0) it is left out
  }
  return servers;
}

bool find_out() {
  struct stat own{};
  struct stat system{};
  if (::stat("/proc/self/ns/net", &own) != 0) return false;
  if (::stat("/proc/1/ns/net", &system) == 0) return own.st_ino == system.st_ino && own.st_dev == system.st_dev;
  // Not to be seen: a service of systemd without CAP_SYS_PTRACE, which is in the system's network unless its unit says otherwise.
  return std::getenv("INVOCATION_ID") != nullptr;
}

}  // namespace

bool in_system_network() {
  static const bool answer = find_out();
  return answer;
}

std::vector<Address> name_servers_in(std::string_view resolv_conf) {
  auto servers = all_name_servers_in(resolv_conf);
  if (servers.size() > outside_servers_max) servers.resize(outside_servers_max);
  return servers;
}

bool are_named_in(std::string_view resolv_conf, const std::vector<Address>& servers) {
  const auto named = all_name_servers_in(resolv_conf);
  return std::all_of(servers.begin(), servers.end(),
                     [&](const auto& server) { return std::find(named.begin(), named.end(), server) != named.end(); });
}

std::vector<Address> present_name_servers() {
  const auto read = [](const char* path) { return name_servers_in(content_of(path)); };
  auto servers = read("/etc/resolv.conf");
  if (std::all_of(servers.begin(), servers.end(), [](const auto& server) { return server.is_loopback(); })) {
    if (auto behind = read(resolved_list); !behind.empty()) return behind;
  }
  return servers;
}

bool NameServers::are_lost() {
  const bool stand = are_named_in(content_of(resolved_runs() ? resolved_list : "/etc/resolv.conf"), servers_);
  return std::exchange(stood_, stand) && !stand;
}

Status NameServers::set(const std::vector<Address>& servers, const std::vector<std::string>& search, bool all_names) {
  servers_ = servers;
  if (servers.empty()) return {};
  if (!in_system_network()) {
    return fail(failure("foreign_network", "DNS of the file is not used: this network namespace is not the system's",
                        "Give the namespace a resolv.conf of its own: /etc/netns/NAME/resolv.conf"));
  }
  if (resolved_runs()) {
    std::vector<std::string> dns{"resolvectl", "dns", interface_};
    for (const auto& server : servers) dns.push_back(to_string(server));
    if (auto status = run(dns); !status) return status;
    std::vector<std::string> domain{"resolvectl", "domain", interface_};
    domain.insert(domain.end(), search.begin(), search.end());
    if (all_names) domain.emplace_back("~.");
    return domain.size() > 3 ? run(domain) : Status{};
  }
  if (resolvconf_there()) {
    std::string text;
    for (const auto& server : servers) text += fmt::format("nameserver {}\n", to_string(server));
    if (!search.empty()) text += fmt::format("search {}\n", fmt::join(search, " "));
    return run({"resolvconf", "-a", "tun." + interface_}, text);
  }
  return fail(failure("no_resolver_service", "DNS of the file is not used: neither systemd-resolved nor resolvconf is here",
                      "Install one (apt install resolvconf), or set /etc/resolv.conf yourself."));
}

void NameServers::clear() {
  if (in_system_network() && !resolved_runs() && resolvconf_there()) (void)run({"resolvconf", "-d", "tun." + interface_});
}

}  // namespace drpf::client
