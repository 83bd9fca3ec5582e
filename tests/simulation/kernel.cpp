#include "simulation/kernel.h"

namespace drpf::simulation {

Kernel::Elements& Kernel::drop_ended(Elements& elements) {
  const auto now = clock_.awake();
  std::erase_if(elements, [&](const auto& entry) { return entry.second.until <= now; });
  return elements;
}

const std::map<lease::Generation, Time>& Kernel::live() {
  const auto now = clock_.awake();
  std::erase_if(live_, [&](const auto& entry) { return entry.second <= now; });
  return live_;
}

bool Kernel::admits(const Address& address) const {
  const auto found = endpoints_.find(address);
  return found != endpoints_.end() && found->second > clock_.awake();
}

void Kernel::purge_flows(const std::function<bool(lease::Generation)>& ended) {
  std::erase_if(flows_, [&](const auto& flow) { return ended(flow.second.mark); });
}

void Kernel::flush() {
  inward_.clear();
  outward_.clear();
  live_.clear();
  endpoints_.clear();
  ruleset.clear();
  foreign_change = true;
}

void Kernel::reboot() {
  flush();
  flows_.clear();
  ephemeral.reset();
  foreign_change = false;
}

std::optional<Kernel::Flow> Kernel::visit(Visitor visitor, const PortKey& to) {
  const std::pair key{visitor, to};
  if (const auto known = flows_.find(key); known != flows_.end()) {
    if (flows_checked && !lives(known->second.mark)) return std::nullopt;
    return known->second;
  }
  const auto& elements = inward();
  const auto element = elements.find(to);
  if (element == elements.end() || !lives(element->second.generation)) return std::nullopt;
  return flows_[key] = {element->second.other, element->second.generation};
}

std::optional<std::pair<PortKey, Kernel::Flow>> Kernel::send(const PortKey& from, Visitor visitor) {
  for (const auto& [key, flow] : flows_)
    if (key.first == visitor && flow.device == from) {
      if (flows_checked && !lives(flow.mark)) return std::nullopt;
      return std::pair(key.second, flow);
    }
  const auto& elements = outward();
  const auto element = elements.find(from);
  if (element == elements.end() || !lives(element->second.generation)) return std::nullopt;  // leaves by another port, not a leased one
  const Flow flow{from, element->second.generation};
  flows_[{visitor, element->second.other}] = flow;
  return std::pair(element->second.other, flow);
}

}  // namespace drpf::simulation
