#include "client/ports/published_ports.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace drpf::client {
namespace {

constexpr std::size_t name_max = 64;

Error malformed(std::string_view what) {
  return failure("bad_report", fmt::format("the gateway's answer is not understood: {}", what),
                 "Is the gateway's drpf newer or older than this one?");
}

bool is_plain_name(std::string_view text) {
  return text.size() <= name_max && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

Result<std::string> read_name(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return std::string{};
  if (!value->is_string() || !is_plain_name(value->get_string())) return fail(malformed(fmt::format("'{}' is not a name", key)));
  return std::string(value->get_string());
}

Result<Port> read_port(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  std::int64_t number = 0;
  if (value != nullptr && value->is_int64()) number = value->get_int64();
  if (number < 1 || number > 65535) return fail(malformed(fmt::format("'{}' is not a port", key)));
  return Port{static_cast<std::uint16_t>(number)};
}

Result<PublishedPort> read_lease(const boost::json::object& object) {
  const auto* protocol = object.if_contains("protocol");
  const auto* address = object.if_contains("public_address");
  if (protocol == nullptr || !protocol->is_string() || address == nullptr || !address->is_string()) {
    return fail(malformed("a lease without protocol or public_address"));
  }
  const auto parsed_protocol = parse_protocol(std::string_view(protocol->get_string()));
  const auto parsed_address = parse_address(std::string_view(address->get_string()));
  if (!parsed_protocol || !parsed_address) return fail(malformed("a lease with an unknown protocol or public_address"));
  const auto public_port = read_port(object, "public_port");
  const auto local_port = read_port(object, "local_port");
  if (!public_port) return fail(public_port.error());
  if (!local_port) return fail(local_port.error());
  return PublishedPort{*parsed_address, *parsed_protocol, *public_port, *local_port};
}

// Held leases are kept for the device but redirect nothing, and a lease whose host has no address at present cannot be reached either.
bool is_reachable(const boost::json::object& object) {
  const auto* state = object.if_contains("state");
  const auto* address = object.if_contains("public_address");
  const bool active = state == nullptr || (state->is_string() && state->get_string() == "active");
  const bool nowhere = address != nullptr && address->is_string() && address->get_string().empty();
  return active && !nowhere;
}

}  // namespace

Result<Report> parse_report(std::string_view json) {
  if (json.size() > report_size_max) return fail(malformed(fmt::format("{} bytes", json.size())));
  boost::system::error_code error;
  const auto value = boost::json::parse(json, error);
  if (error || !value.is_object()) return fail(malformed("no JSON object"));
  const auto& object = value.get_object();
  Report report;
  auto account = read_name(object, "account");
  auto device = read_name(object, "device");
  if (!account) return fail(account.error());
  if (!device) return fail(device.error());
  report.account = std::move(*account);
  report.device = std::move(*device);
  if (const auto* address = object.if_contains("public_v4"); address != nullptr && address->is_string()) {
    const auto parsed = parse_address(std::string_view(address->get_string()));
    if (!parsed || !parsed->is_v4()) return fail(malformed("public_v4 is no IPv4 address"));
    report.public_v4 = *parsed;
  }
  const auto* leases = object.if_contains("leases");
  if (leases == nullptr || !leases->is_array()) return fail(malformed("no list 'leases'"));
  if (leases->get_array().size() > published_ports_max) return fail(malformed("too many leases"));
  for (const auto& item : leases->get_array()) {
    if (!item.is_object()) return fail(malformed("a lease that is no object"));
    if (!is_reachable(item.get_object())) continue;
    const auto port = read_lease(item.get_object());
    if (!port) return fail(port.error());
    report.ports.push_back(*port);
  }
  std::sort(report.ports.begin(), report.ports.end());
  report.ports.erase(std::unique(report.ports.begin(), report.ports.end()), report.ports.end());
  return report;
}

std::vector<PortSpan> spans(const std::vector<PublishedPort>& ports) {
  // First join the protocols of one pair of ports, then neighbours: 20000..20004 over both protocols is one span.
  std::map<std::tuple<Address, Port, Port>, std::pair<bool, bool>> pairs;
  for (const auto& port : ports) {
    auto& [tcp, udp] = pairs[{port.public_address, port.public_port, port.local_port}];
    (port.protocol == Protocol::tcp ? tcp : udp) = true;
  }
  std::vector<PortSpan> out;
  for (const auto& [key, protocols] : pairs) {
    const auto& [address, public_port, local_port] = key;
    if (!out.empty()) {
      auto& last = out.back();
      const bool next = last.public_address == address && last.tcp == protocols.first && last.udp == protocols.second &&
                        last.public_ports.last().value() + 1 == public_port.value() &&
                        last.local_ports.last().value() + 1 == local_port.value();
      if (next) {
        last.public_ports = PortRange(last.public_ports.first(), public_port);
        last.local_ports = PortRange(last.local_ports.first(), local_port);
        continue;
      }
    }
    out.push_back({address, PortRange(public_port), PortRange(local_port), protocols.first, protocols.second});
  }
  return out;
}

std::string to_string(const PortSpan& span) {
  const std::string address =
      span.public_address.is_v6() ? fmt::format("[{}]", to_string(span.public_address)) : to_string(span.public_address);
  const std::string_view protocols = span.tcp && span.udp ? "tcp+udp" : span.tcp ? "tcp" : "udp";
  return fmt::format("public {}:{} -> this machine:{} ({})", address, to_string(span.public_ports), to_string(span.local_ports), protocols);
}

std::vector<Port> public_numbers(const std::vector<PublishedPort>& ports) {
  std::vector<Port> numbers;
  for (const auto& port : ports) numbers.push_back(port.public_port);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::vector<Port> same_numbers(const std::vector<PublishedPort>& ports) {
  std::vector<PublishedPort> fitting;
  std::copy_if(ports.begin(), ports.end(), std::back_inserter(fitting),
               [](const auto& port) { return port.protocol == Protocol::tcp && port.local_port == port.public_port; });
  return public_numbers(fitting);
}

std::string first_public_address(const std::vector<PublishedPort>& ports) {
  const auto v4 = std::find_if(ports.begin(), ports.end(), [](const auto& port) { return port.public_address.is_v4(); });
  if (v4 != ports.end()) return to_string(v4->public_address);
  return ports.empty() ? std::string{} : to_string(ports.front().public_address);
}

std::string comma_separated(const std::vector<Port>& numbers) {
  std::string text;
  for (const auto port : numbers) text += (text.empty() ? "" : ",") + to_string(port);
  return text;
}

std::string ports_file_text(const std::vector<Port>& numbers) {
  std::string text;
  for (const auto port : numbers) text += to_string(port) + "\n";
  return text;
}

boost::json::array to_json(const std::vector<PublishedPort>& ports) {
  boost::json::array array;
  for (const auto& port : ports) {
    boost::json::object object;
    object["public_address"] = to_string(port.public_address);
    object["protocol"] = to_string(port.protocol);
    object["public_port"] = port.public_port.value();
    object["local_port"] = port.local_port.value();
    array.push_back(std::move(object));
  }
  return array;
}

Difference difference(const std::vector<PublishedPort>& before, const std::vector<PublishedPort>& after) {
  Difference out;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(out.added));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(out.removed));
  return out;
}

}  // namespace drpf::client
