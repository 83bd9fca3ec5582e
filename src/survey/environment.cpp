#include "survey/environment.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "probe/scanner.h"
#include "registry/port_registry.h"
#include "registry/scan_ports.h"
#include "system/output_chains.h"

namespace drpf::survey {
namespace {

Result<std::string> read_whole(const std::string& path, std::size_t size_max) {
  const bool piped = path == standard_input;
  if (piped && ::isatty(STDIN_FILENO) == 1)
    return fail(wrong_usage("the list is to come from standard input, which is a terminal", "pipe it in, or name a file"));
  std::ifstream file(piped ? "/dev/stdin" : path, std::ios::binary);
  const int error = errno;
  const auto unreadable = [&](const char* why) { return fmt::format("cannot read {}: {}", path, why); };
  if (!file && error == ENOENT) return fail(not_found("file_missing", unreadable("there is no such file"), "check the path"));
  if (!file) return fail(failure("file_unreadable", unreadable(std::strerror(error)), "check the path and its rights"));
  std::string text;
  std::array<char, 65'536> part{};
  while (text.size() <= size_max && (file.read(part.data(), part.size()) || file.gcount() > 0))
    text.append(part.data(), static_cast<std::size_t>(file.gcount()));
  if (file.bad()) return fail(failure("file_unreadable", unreadable("reading failed"), "check the disk"));
  if (text.size() > size_max) return fail(wrong_usage(fmt::format("{} is larger than {} bytes", path, size_max), "divide it"));
  return text;
}

// In the order of preference of the system's resolver (RFC 6724).
Result<std::vector<Address>> resolve(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &list); error != 0)
    return fail(not_found("target_unresolved", fmt::format("the name '{}' cannot be resolved: {}", name, ::gai_strerror(error)),
                          "check its spelling and the name servers, or give the address"));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  std::vector<Address> addresses;
  for (const auto* one = list; one; one = one->ai_next) {
    std::array<std::uint8_t, 16> bytes{};
    std::size_t size = 0;
    if (one->ai_family == AF_INET) {
      sockaddr_in address{};
      std::memcpy(&address, one->ai_addr, sizeof address);
      std::memcpy(bytes.data(), &address.sin_addr, size = 4);
    } else if (one->ai_family == AF_INET6) {
      sockaddr_in6 address{};
      std::memcpy(&address, one->ai_addr, sizeof address);
      std::memcpy(bytes.data(), &address.sin6_addr, size = 16);
    } else {
      continue;
    }
    const auto address = Address::from_bytes(std::span<const std::uint8_t>(bytes).first(size));
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(address);
  }
  if (addresses.empty()) return fail(not_found("target_unresolved", fmt::format("the name '{}' has no address", name), "give the address"));
  return addresses;
}

Result<std::vector<system::InterfaceAddress>> addresses_here() {
  auto routes = system::LinksAndRoutes::open();
  if (!routes) return fail(routes.error());
  return routes->addresses();
}

// What is built in, and the machine's own names over it.
std::shared_ptr<const registry::PortRegistry> registry_here() {
  auto known = std::make_shared<registry::PortRegistry>();
  const std::string path(registry::services_path);
  if (const auto text = read_whole(path, list_file_max)) known->overlay(path, registry::parse_services(*text).services);
  return known;
}

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  // The terminal has gone. Under nohup it is ignored, and a blocked signal would come all the same.
  struct sigaction hangup{};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

Environment environment_here() {
  Environment here;
  here.read_file = read_whole;
  here.resolve = resolve;
  here.addresses = addresses_here;
  here.likely_ports = registry::default_scan_ports;
  const auto known = registry_here();  // shared by the functions that look into it
  here.services.ports = [known](std::string_view name, Protocol protocol) { return known->ports_named(name, protocol); };
  here.services.nearest = [known](std::string_view name) {
    const auto names = known->nearest(name);
    return std::vector<std::string>(names.begin(), names.end());
  };
  here.services.names_of = [known](Port port, Protocol protocol) { return known->names_of(port, registry::transport_of(protocol)); };
  here.service_name = [known](std::uint16_t number, scan::Kind kind) {
    const auto protocol = scan::protocol_of(kind);
    return std::string(protocol ? known->name_of(Port{number}, *protocol) : scan::ip_protocol_name(number));
  };
  here.output_chains = [] { return system::output_chains().value_or(std::vector<std::string>()); };
  here.raw_sockets_allowed = probe::raw_sockets_allowed();
  return here;
}

StopSignals::StopSignals() {
  const auto set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a reader that has gone ends the scan as a full disk does: with a resume file
}

bool StopSignals::asked() const {
  if (asked_) return true;
  const auto set = stop_signals();
  const timespec at_once{};
  if (::sigtimedwait(&set, nullptr, &at_once) < 0) return false;
  asked_ = true;
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return true;
}

}  // namespace drpf::survey
