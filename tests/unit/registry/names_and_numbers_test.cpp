// Every name and every number of the registry's own tables is asked for, and what their sentences say of other ports is looked up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string>

#include "registry/name_in_text.h"
#include "registry/port_query.h"
#include "registry/port_registry.h"
#include "registry/scan_ports.h"

namespace drpf::registry {
namespace {

using testing::Contains;

constexpr std::array both_protocols{Protocol::tcp, Protocol::udp};

bool leads_to(const std::vector<Service>& found, Port port, Transport transport) {
  return std::any_of(found.begin(), found.end(),
                     [&](const Service& one) { return one.ports.contains(port) && one.transport == transport; });
}

// Whether a table has the name for this transport, so that it means the port of the table.
bool in_tables(std::string_view name, Transport transport) {
  for (const auto& one : well_known()) {
    if (!one.transports.contains(transport)) continue;
    if (same_letters(one.name, name)) return true;
    std::string_view also = one.also;
    while (!also.empty()) {
      const auto end = std::min(also.find(' '), also.size());
      if (same_letters(also.substr(0, end), name)) return true;
      also.remove_prefix(std::min(end + 1, also.size()));
    }
  }
  return std::any_of(iana_rows_all().begin(), iana_rows_all().end(),
                     [&](const IanaRow& row) { return row.transports().contains(transport) && same_letters(row.name(), name); });
}

}  // namespace

TEST(NameInText, IsARunOfWholeWords) {
  EXPECT_TRUE(has_name("Proxmox Backup Server", "proxmox"));
  EXPECT_TRUE(has_name("Proxmox Backup Server", "proxmox-backup"));
  EXPECT_TRUE(has_name("Proxmox Backup Server", "backup server"));
  EXPECT_TRUE(has_name("MinIO, PHP-FPM", "phpfpm"));
  EXPECT_TRUE(has_name("Fritz!Box media", "fritzbox"));
  EXPECT_TRUE(has_name("SSH, moved", "SSH"));
  EXPECT_FALSE(has_name("Proxmox", "prox"));
  EXPECT_FALSE(has_name("Redis, Valkey", "redis-valkey")) << "two names";
  EXPECT_FALSE(has_name("VNC, one for each display", "one"));
  EXPECT_FALSE(has_name("VNC, one for each display", "display"));
  EXPECT_FALSE(has_name("VNC", ""));
  EXPECT_FALSE(has_name("", "-"));
  EXPECT_TRUE(has_words("Fetches mail from a server.", "MAIL"));
  EXPECT_FALSE(has_words("Fetches mails", "mail"));
  EXPECT_TRUE(same_letters("TR-069", "tr069"));
  EXPECT_FALSE(same_letters("--", "."));
  EXPECT_FALSE(same_letters("http", "https"));
  EXPECT_EQ(names_in("WireGuard, the second; X Window System"),
            (std::vector<std::string_view>{"WireGuard", "X Window System", "X", "Window", "System"}));
}

// 10 of issue 13: what an answer says can be asked for.
TEST(Habits, AreFoundByEachOfTheirNames) {
  const PortRegistry registry;
  std::size_t names = 0;
  std::map<std::pair<std::string_view, Protocol>, std::vector<Port>> asked;
  for (const auto protocol : both_protocols)
    for (const auto& habit : habits(protocol))
      for (const auto name : names_in(habit.names)) {
        ++names;
        const auto transport = transport_of(protocol);
        const auto [at, first_time] = asked.try_emplace({name, protocol});
        auto& ports = at->second;
        if (first_time) ports = registry.ports_named(name, protocol);
        ASSERT_FALSE(ports.empty()) << name << ": `scan -p` does not know it";
        // A table's port is what the name means; `drpf ports` shows the habit beside it.
        if (in_tables(name, transport)) {
          EXPECT_TRUE(has_words(habit.names, name));
          continue;
        }
        EXPECT_THAT(ports, Contains(habit.port)) << name;
      }
  EXPECT_GT(names, 1000U);
}

TEST(Habits, AreToldForTheirOwnTransportOnly) {
  const PortRegistry registry;
  for (const auto protocol : both_protocols) {
    ASSERT_FALSE(habits(protocol).empty());
    for (const auto& habit : habits(protocol)) {
      const auto service = registry.find(habit.port, protocol);
      ASSERT_TRUE(service) << to_string(habit.port);
      EXPECT_EQ(service->habit, habit.names);
      const auto range = registry.within(PortRange(habit.port));
      EXPECT_TRUE(std::any_of(range.begin(), range.end(), [&](const Service& one) {
        return one.transport == transport_of(protocol) && one.habit == habit.names;
      })) << to_string(habit.port);
    }
  }
  EXPECT_EQ(registry.find(Port{30000}, Protocol::udp)->habit, "Luanti, Minetest");
  EXPECT_EQ(registry.find(Port{6667}, Protocol::udp)->habit, "Tuya discovery") << "in a range that is registered for IRC";
  EXPECT_EQ(registry.find(Port{51821}, Protocol::udp)->habit, "WireGuard, the second");
  EXPECT_EQ(registry.find(Port{51821}, Protocol::tcp)->habit, "wg-easy");
  EXPECT_EQ(registry.find(Port{9993}, Protocol::udp)->habit, "ZeroTier");
  EXPECT_EQ(registry.find(Port{51826}, Protocol::tcp)->habit, "Homebridge");
}

// A name that our own table has for one transport alone is no habit of the other.
TEST(Habits, AreOfATransportThatTheTableKnows) {
  for (const auto protocol : both_protocols)
    for (const auto& habit : habits(protocol))
      for (const auto phrase : phrases_in(habit.names)) {
        bool known = false;
        bool right = false;
        for (const auto& one : well_known()) {
          if (!same_letters(one.name, phrase)) continue;
          known = true;
          right = right || one.transports.contains(transport_of(protocol));
        }
        EXPECT_TRUE(!known || right) << phrase << " at " << to_string(habit.port) << "/" << to_string(protocol);
      }
}

TEST(WellKnownServices, AreFoundByEachOfTheirNamesAndNumbers) {
  const PortRegistry registry;
  for (const auto& one : well_known())
    for (const auto transport : all_transports) {
      if (!one.transports.contains(transport)) continue;
      const auto service = registry.find(one.port, transport);
      ASSERT_TRUE(service && service->about == &one) << one.name;
      for (const auto name : registry.names_of(one.port, transport))
        EXPECT_TRUE(leads_to(registry.named(name), one.port, transport)) << name;
      // Names that a purpose speaks of: the port is among what is known about them.
      for (const auto name : names_in(one.purpose))
        EXPECT_TRUE(name.size() > port_query_length_max || leads_to(registry.about(name), one.port, transport)) << name;
    }
}

// "POP3 over TLS (995)", "27015/tcp for the console": the ports that a sentence names are known here, and for something.
TEST(WellKnownServices, SpeakOfPortsThatTheRegistryKnows) {
  const PortRegistry registry;
  std::size_t spoken_of = 0;
  for (const auto& one : well_known())
    for (const auto text : {one.purpose, one.warning, one.successor, one.more_ports})
      for (std::size_t at = 0; at < text.size();) {
        if (!std::isdigit(static_cast<unsigned char>(text[at]))) {
          ++at;
          continue;
        }
        auto end = at;
        while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
        const bool in_brackets = at > 0 && text[at - 1] == '(' && (text[end] == ')' || text[end] == '/' || text[end] == ' ');
        const bool with_protocol = text.substr(end).starts_with("/tcp") || text.substr(end).starts_with("/udp");
        if ((in_brackets || with_protocol) && end - at <= 5) {
          const auto port = parse_port(text.substr(at, end - at));
          ASSERT_TRUE(port) << text;
          const auto protocol = text.substr(end).starts_with("/udp") ? Protocol::udp : Protocol::tcp;
          const bool known = registry.find(*port, protocol) || (!with_protocol && registry.find(*port, Protocol::udp));
          EXPECT_TRUE(known || class_of(*port) == PortClass::dynamic) << one.name << ": " << text;
          ++spoken_of;
        }
        at = end;
      }
  EXPECT_GT(spoken_of, 100U);
}

TEST(WellKnownServices, JudgeTheSameThingOnce) {
  std::map<std::string_view, const WellKnown*> judged;
  for (const auto& one : well_known()) {
    if (one.warning.empty()) continue;
    const auto [known, added] = judged.try_emplace(one.warning, &one);
    if (added || one.warning == "Clear text." || one.warning == "Passwords can be guessed against it.") {
      // What may be read by everybody, and what has a password: how careful to be depends on what is behind it, but it is never closed.
      EXPECT_TRUE(added || one.exposure != Exposure::closed) << one.name << ": " << one.warning;
      continue;
    }
    EXPECT_EQ(one.exposure, known->second->exposure) << one.name << " and " << known->second->name << ": " << one.warning;
  }
  EXPECT_EQ(find_well_known(Port{27015}, Transport::tcp)->exposure, find_well_known(Port{25575}, Transport::tcp)->exposure) << "RCON";
}

TEST(NearestName, OfATypoIsAnswered) {
  const PortRegistry registry;
  for (const auto& [typo, meant] : std::initializer_list<std::pair<std::string_view, std::string_view>>{{"htp", "http"},
                                                                                                        {"plx", "plex"},
                                                                                                        {"sssh", "ssh"},
                                                                                                        {"htps", "https"},
                                                                                                        {"proxmx", "Proxmox"},
                                                                                                        {"minecaft", "minecraft"},
                                                                                                        {"kubernets", "kubernetes"},
                                                                                                        {"grafanna", "grafana"},
                                                                                                        {"wiregaurd", "wireguard"},
                                                                                                        {"sonnarr", "Sonarr"},
                                                                                                        {"jelyfin", "jellyfin"}})
    EXPECT_EQ(registry.meant_by(typo), meant) << typo;
  for (const std::string_view word : {"mail", "http", "proxmox", "web", "printer", "no-such-service-at-all"})
    EXPECT_EQ(registry.meant_by(word), "") << word;
  EXPECT_EQ(registry.nearest("proxmxo", 1), std::vector<std::string_view>{"Proxmox"});
}

TEST(ShortNames, LeadToWhatTheyStandFor) {
  const PortRegistry registry;
  for (const auto& [brief, port] : std::initializer_list<std::pair<std::string_view, int>>{{"psql", 5432},
                                                                                           {"k8s", 6443},
                                                                                           {"k3s", 6443},
                                                                                           {"pve", 8006},
                                                                                           {"pbs", 8007},
                                                                                           {"hass", 8123},
                                                                                           {"mongo", 27017},
                                                                                           {"npm", 81},
                                                                                           {"es", 9200},
                                                                                           {"unifi", 8443},
                                                                                           {"jdwp", 5005},
                                                                                           {"wss", 443},
                                                                                           {"mc", 25565},
                                                                                           {"rmq", 5672},
                                                                                           {"sqlserver", 1433}})
    EXPECT_TRUE(leads_to(registry.named(brief), Port{static_cast<std::uint16_t>(port)}, Transport::tcp)) << brief;
  for (const auto& [brief, port] : std::initializer_list<std::pair<std::string_view, int>>{{"wg", 51820}, {"ts3", 9987}, {"unifi", 10001}})
    EXPECT_THAT(registry.ports_named(brief, Protocol::udp), Contains(Port{static_cast<std::uint16_t>(port)})) << brief;
}

}  // namespace drpf::registry
