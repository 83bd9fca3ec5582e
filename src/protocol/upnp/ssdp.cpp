#include "protocol/upnp/ssdp.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace drpf::protocol::upnp {
namespace {

constexpr std::string_view search_line = "M-SEARCH * HTTP/1.1";
constexpr unsigned max_age_s = 1800;
constexpr std::size_t target_size_max = 128;

std::string_view next_line(std::string_view& text) {
  const auto end = text.find('\n');
  auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// One thing that can be found: what it is called in a search, and whose it is.
struct Found {
  std::string type;
  DeviceKind device;
};

std::vector<Found> everything() {
  std::vector<Found> out{{"upnp:rootdevice", DeviceKind::gateway}};
  const auto device = [&](DeviceKind kind) {
    for (const unsigned version : {2U, 1U}) out.push_back({type_of(kind, version), kind});
  };
  const auto service = [&](ServiceKind kind, DeviceKind on) {
    const auto& found = service_of(kind);
    for (unsigned version = found.version_max; version > 0; --version) out.push_back({type_of(found, version), on});
  };
  device(DeviceKind::gateway);
  service(ServiceKind::wan_ip_connection, DeviceKind::wan_connection);
  service(ServiceKind::wan_common_interface, DeviceKind::wan);
  service(ServiceKind::wan_ipv6_firewall, DeviceKind::wan_connection);
  service(ServiceKind::layer3_forwarding, DeviceKind::gateway);
  device(DeviceKind::wan);
  device(DeviceKind::wan_connection);
  return out;
}

// As short as the architecture allows: programs' searches are little over 100 bytes, and the answer may be twice that. SERVER is left out
// where it would not fit.
std::string answer(std::string_view type, const std::string& uuid, const Endpoint& location, bool with_server) {
  std::string out = fmt::format("HTTP/1.1 200 OK\r\nCACHE-CONTROL:max-age={}\r\nEXT:\r\nLOCATION:http://{}{}\r\n", max_age_s,
                                to_string(location), root_path);
  if (with_server) out += "SERVER:Linux UPnP/1.1 drpf/1\r\n";
  out += fmt::format("ST:{}\r\nUSN:uuid:{}", type, uuid);
  if (!type.starts_with("uuid:")) out += fmt::format("::{}", type);
  return out + "\r\n\r\n";
}

}  // namespace

Address ssdp_group_v6() {
  return Address::from_bytes(std::array<std::uint8_t, 16>{0xff, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c});
}

std::optional<std::string> read_search(std::string_view datagram) {
  if (datagram.size() > search_size_max || next_line(datagram) != search_line) return std::nullopt;
  std::optional<std::string> target;
  bool discover = false;
  while (!datagram.empty()) {
    const auto line = next_line(datagram);
    if (line.empty()) break;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = trimmed(line.substr(0, colon));
    const auto value = trimmed(line.substr(colon + 1));
    if (is_same_word(name, "MAN")) discover = is_same_word(value, "\"ssdp:discover\"") || is_same_word(value, "ssdp:discover");
    if (is_same_word(name, "ST")) target = std::string(value);
  }
  if (!discover || !target || target->empty() || target->size() > target_size_max || !is_printable(*target)) return std::nullopt;
  return target;
}

std::vector<std::string> search_answers(std::string_view target, std::size_t search_size, const Identity& identity,
                                        const Endpoint& location) {
  std::vector<Found> wanted;
  if (target.starts_with("uuid:")) {
    for (const auto kind : {DeviceKind::gateway, DeviceKind::wan, DeviceKind::wan_connection})
      if (is_same_word(target.substr(5), uuid_of(identity, kind))) wanted.push_back({"uuid:" + uuid_of(identity, kind), kind});
  } else {
    for (auto& found : everything())
      if (target == "ssdp:all" || target == found.type) wanted.push_back(std::move(found));
  }
  std::vector<std::string> out;
  std::size_t left = amplification_max * search_size;
  for (const auto& found : wanted) {
    const auto uuid = uuid_of(identity, found.device);
    auto text = answer(found.type, uuid, location, true);
    if (text.size() > left) text = answer(found.type, uuid, location, false);
    if (text.size() > left || out.size() == AnswerPace::answers_max) break;
    left -= text.size();
    out.push_back(std::move(text));
  }
  return out;
}

bool AnswerPace::allow(const Address& client, Time now) {
  auto found = recent_.find(client);
  if (found == recent_.end()) {
    if (recent_.size() >= clients_max) forget_idle(now);
    if (recent_.size() >= clients_max) return false;
    found = recent_.emplace(client, Recent{}).first;
  }
  auto& recent = found->second;
  if (recent.count == answers_max && now - recent.times[recent.next] < window) return false;
  recent.times[recent.next] = now;
  recent.next = (recent.next + 1) % answers_max;
  recent.count = std::min(recent.count + 1, answers_max);
  recent.last = now;
  return true;
}

void AnswerPace::forget_idle(Time now) {
  std::erase_if(recent_, [now](const auto& entry) { return now - entry.second.last >= window; });
}

}  // namespace drpf::protocol::upnp
