// Any bytes as the gateway's answer to `drpf connect`: refused, or ports that exist and names that a terminal can show.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "client/ports/published_ports.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::client;
  const auto report = parse_report(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!report) {
    if (report.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& name : {report->account, report->device})
    if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) std::abort();
  if (report->ports.size() > published_ports_max || !std::is_sorted(report->ports.begin(), report->ports.end())) std::abort();
  for (const auto& port : report->ports)
    if (port.public_port.is_zero() || port.local_port.is_zero()) std::abort();
  // Every port is in the text of exactly the spans that say so, and nothing has changed since itself.
  std::size_t told = 0;
  for (const auto& span : spans(report->ports)) {
    if (to_string(span).empty() || (!span.tcp && !span.udp) || span.public_ports.size() != span.local_ports.size()) std::abort();
    told += span.public_ports.size() * (static_cast<std::size_t>(span.tcp) + static_cast<std::size_t>(span.udp));
  }
  if (told != report->ports.size()) std::abort();
  const auto numbers = public_numbers(report->ports);
  if (numbers.empty() != report->ports.empty() || comma_separated(numbers).empty() != numbers.empty()) std::abort();
  const auto none = difference(report->ports, report->ports);
  if (!none.added.empty() || !none.removed.empty()) std::abort();
  if (difference({}, report->ports).added != report->ports) std::abort();
  return 0;
}
