// How long the registry of ports takes: every port of each protocol by number, /etc/services over it or not, and names. Prints one line
// each.
//   registry_bench [ROUNDS]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "registry/port_registry.h"
#include "registry/scan_ports.h"

namespace {

using namespace drpf;
using Stopwatch = std::chrono::steady_clock;

double nanoseconds_since(Stopwatch::time_point start) { return std::chrono::duration<double, std::nano>(Stopwatch::now() - start).count(); }

void by_number(const char* what, const registry::PortRegistry& names, int rounds) {
  std::size_t known = 0;
  const auto start = Stopwatch::now();
  for (int round = 0; round < rounds; ++round)
    for (std::uint32_t port = 0; port < 65536; ++port)
      for (const auto transport : registry::all_transports) known += names.find(Port{static_cast<std::uint16_t>(port)}, transport) ? 1 : 0;
  const auto looks = static_cast<double>(rounds) * 65536 * static_cast<double>(registry::all_transports.size());
  fmt::print("{}: {:.1f} ns for a look-up (65,536 ports x 4 protocols x {} rounds, {} known)\n", what, nanoseconds_since(start) / looks,
             rounds, known / static_cast<std::size_t>(rounds));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 20;
  registry::PortRegistry names;
  by_number("built in", names, rounds);
  std::ifstream file{std::string(registry::services_path)};
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  names.overlay(std::string(registry::services_path), registry::parse_services(text).services);
  by_number("with /etc/services", names, rounds);
  auto start = Stopwatch::now();
  std::size_t found = 0;
  for (int round = 0; round < rounds; ++round) found += names.named("pop3").size() + names.ports_named("https", Protocol::tcp).size();
  fmt::print("a name: {:.1f} us ({} found)\n", nanoseconds_since(start) / 2000 / rounds, found / static_cast<std::size_t>(rounds));
  start = Stopwatch::now();
  for (int round = 0; round < rounds; ++round) found += names.nearest("htttps").size();
  fmt::print("guesses for a name that is none: {:.1f} us\n", nanoseconds_since(start) / 1000 / rounds);
  start = Stopwatch::now();
  for (int round = 0; round < rounds; ++round) found += registry::default_scan_ports(registry::default_scan_count, Protocol::tcp).size();
  fmt::print("the scanner's 1,000 ports: {:.1f} us\n", nanoseconds_since(start) / 1000 / rounds);
  return found > 0 ? 0 : 1;
}
