#include "firewall/host/service_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/text.h"
#include "registry/port_query.h"

namespace drpf::firewall {
namespace {

using registry::Transport;

ServicePorts both_or_one(Protocol protocol, std::uint16_t first, std::uint16_t last) {
  return {protocol, PortRange(Port{first}, Port{last})};
}

// What a rule can say in its list of services, and no number or range.
bool is_profile_name(std::string_view name) {
  const auto fits = [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.' || c == '+'; };
  if (name.size() > registry::service_name_length_max || !std::all_of(name.begin(), name.end(), fits)) return false;
  return name.find_first_not_of("0123456789-") != std::string_view::npos && !is_same_word(name, "any") && !is_same_word(name, "leased");
}

const Profile* find_profile(const std::vector<Profile>& profiles, std::string_view name) {
  const auto found = std::find_if(profiles.begin(), profiles.end(), [&](const Profile& one) { return is_same_word(one.name, name); });
  return found == profiles.end() ? nullptr : &*found;
}

// The transports by which a service is really used stand in our own table; the registry has it under others too, for order's sake.
std::vector<ServicePorts> ports_by_name(const registry::PortRegistry& registry, std::string_view name) {
  std::vector<ServicePorts> used;
  std::vector<ServicePorts> registered;
  for (const auto& service : registry.named(name)) {
    if (service.transport != Transport::tcp && service.transport != Transport::udp) continue;
    if (service.ports.first().is_zero()) continue;
    const ServicePorts ports{static_cast<Protocol>(service.transport), service.ports};
    (service.about ? used : registered).push_back(ports);
  }
  return merged(used.empty() ? std::move(registered) : std::move(used));
}

void keep_transport(std::vector<ServicePorts>& ports, std::optional<Transport> transport) {
  if (!transport) return;
  std::erase_if(ports, [&](const ServicePorts& one) { return registry::transport_of(one.protocol) != *transport; });
}

}  // namespace

const std::vector<Profile>& built_in_profiles() {
  constexpr auto tcp = Protocol::tcp;
  constexpr auto udp = Protocol::udp;
  static const std::vector<Profile> profiles = {
      {"netmeeting",
       {both_or_one(tcp, 389, 389), both_or_one(tcp, 522, 522), both_or_one(tcp, 1503, 1503), both_or_one(tcp, 1720, 1720),
        both_or_one(tcp, 1731, 1731)},
       "directory, user location, T.120, H.323 call set-up, audio call control"},
      {"qbittorrent",
       {both_or_one(tcp, 6881, 6889), both_or_one(udp, 6881, 6889)},
       "peers; its own port where it has been told one is another"},
      {"minecraft", {both_or_one(tcp, 25565, 25565), both_or_one(udp, 19132, 19133)}, "Java edition by TCP, Bedrock edition by UDP"},
  };
  return profiles;
}

Result<std::vector<Profile>> parse_profiles(std::string_view text) {
  std::vector<Profile> profiles;
  const ServiceNames numbers;
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    const auto wrong = [&](std::string_view what) {
      return fail(
          invalid("profile_file", fmt::format("line {}: {}", number, what), "write lines like: minecraft 25565/tcp,19132/udp # the game"));
    };
    if (line.size() > profile_line_max) return wrong(fmt::format("longer than {} bytes", profile_line_max));
    std::string purpose;
    if (const auto mark = line.find('#'); mark != std::string_view::npos) {
      purpose = trimmed(line.substr(mark + 1));
      line = line.substr(0, mark);
    }
    line = trimmed(line);
    if (line.empty()) continue;
    const auto blank = line.find_first_of(" \t");
    if (blank == std::string_view::npos) return wrong("a name without ports");
    Profile profile{std::string(line.substr(0, blank)), {}, std::move(purpose)};
    if (!is_profile_name(profile.name)) return wrong("this is no name");
    if (find_profile(profiles, profile.name)) return wrong(fmt::format("{} is named twice", profile.name));
    for (auto ports = trimmed(line.substr(blank)); !ports.empty();) {
      const auto comma = std::min(ports.find(','), ports.size());
      const auto word = trimmed(ports.substr(0, comma));
      const auto query = registry::parse_port_query(
          word.find(':') == std::string_view::npos ? std::string(word) : std::string(word).replace(word.find(':'), 1, "-"));
      if (!query || !query->ports) return wrong(fmt::format("'{}' is no port", word));
      auto found = numbers.ports_of(word);
      if (!found) return wrong(found.error().message);
      profile.ports.insert(profile.ports.end(), found->begin(), found->end());
      ports.remove_prefix(std::min(comma + 1, ports.size()));
    }
    profile.ports = merged(std::move(profile.ports));
    if (profiles.size() == profiles_max) return wrong(fmt::format("more than {} profiles", profiles_max));
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

Result<std::vector<ServicePorts>> ServiceNames::ports_of(std::string_view word) const {
  std::string text(word);
  if (const auto colon = text.find(':'); colon != std::string::npos) text[colon] = '-';
  const auto query = registry::parse_port_query(text);
  if (!query) return fail(query.error());
  if (query->transport && *query->transport != Transport::tcp && *query->transport != Transport::udp)
    return fail(invalid("no_such_protocol",
                        fmt::format("{}: ports of tcp and udp have rules, those of {} have none", word, to_string(*query->transport)),
                        "what is not allowed is denied; a rule without a port means all protocols"));
  std::vector<ServicePorts> ports;
  if (query->ports) {
    if (query->ports->first().is_zero())
      return fail(invalid("port_zero", fmt::format("{}: port 0 is no port that anybody can reach", word), "give 1 to 65535"));
    for (const auto protocol : {Protocol::tcp, Protocol::udp}) ports.push_back({protocol, *query->ports});
  } else if (const auto* own = find_profile(own_, query->text)) {
    ports = own->ports;
  } else if (const auto* built_in = find_profile(built_in_profiles(), query->text)) {
    ports = built_in->ports;
  } else {
    ports = ports_by_name(registry_, query->text);
  }
  const bool known = !ports.empty();
  keep_transport(ports, query->transport);
  if (!ports.empty()) return ports;
  if (known)
    return fail(not_found("no_service", fmt::format("{} has no ports of {}", query->text, to_string(*query->transport)),
                          fmt::format("see what it has: drpf ports {}", query->text)));
  std::string guesses;
  for (const auto guess : registry_.nearest(query->text)) guesses += (guesses.empty() ? "did you mean " : " or ") + std::string(guess);
  return fail(not_found("no_service", fmt::format("no service is known by the name '{}'", query->text),
                        guesses.empty() ? "give a number, or search: drpf ports WORD" : guesses + "?"));
}

}  // namespace drpf::firewall
