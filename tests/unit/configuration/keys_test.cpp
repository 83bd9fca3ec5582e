#include "configuration/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>

#include "configuration/configuration_file.h"

namespace drpf::configuration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Row {
  std::string key;
  bool restart = false;
  auto operator<=>(const Row&) const = default;
};

std::set<Row> rows_of_table() {
  std::set<Row> rows;
  for (const auto& key : keys()) rows.insert({std::string(key.section) + " " + std::string(key.name), key.taken_up == TakenUp::restart});
  return rows;
}

std::set<Row> rows_of_page() {
  std::ifstream page(DRPF_SOURCE_DIR "/docs/configuration.md");
  std::set<Row> rows;
  std::string section;
  for (std::string line; std::getline(page, line);) {
    std::smatch found;
    if (std::regex_search(line, found, std::regex(R"(^## `(\[+\w+\]+)`)"))) section = found[1];
    if (section.empty() || !line.starts_with("| `")) continue;
    const auto cell = line.substr(0, line.find('|', 1));
    const std::regex key("`(\\w+)`");
    for (std::sregex_iterator at(cell.begin(), cell.end(), key), end; at != end; ++at)
      rows.insert({section + " " + (*at)[1].str(), cell.find("(restart)") != std::string::npos});
  }
  return rows;
}

TEST(Keys, AreThoseOfThePageForOperators) { EXPECT_EQ(rows_of_table(), rows_of_page()); }

TEST(Keys, AreThoseOfTheExample) {
  std::ifstream example(DRPF_SOURCE_DIR "/packaging/drpf.toml");
  std::set<std::string> in_example, in_table;
  std::string section;
  for (std::string line; std::getline(example, line);) {
    std::smatch found;
    if (std::regex_search(line, found, std::regex(R"(^#?(\[+\w+\]+))"))) section = found[1];
    if (std::regex_search(line, found, std::regex(R"(^#?(\w+) = )"))) in_example.insert(section + " " + found[1].str());
  }
  for (const auto& key : keys()) in_table.insert(std::string(key.section) + " " + std::string(key.name));
  EXPECT_EQ(in_example, in_table);
}

// What the reader takes is in the table: its own words for an unknown key list all that it asks for.
TEST(Keys, AreThoseOfTheReader) {
  std::set<std::string> sections, read, in_table;
  for (const auto& key : keys()) {
    sections.emplace(key.section);
    in_table.insert(std::string(key.section) + " " + std::string(key.name));
  }
  for (const auto& section : sections) {
    const auto name = section == "[[plan]]" ? "name = \"a\"\n" : "";
    const auto refused = parse_configuration(section + "\n" + name + "no_such_key = 1\n", "f");
    ASSERT_FALSE(refused) << section;
    const auto& cure = refused.error().cure;
    ASSERT_TRUE(cure.starts_with("these are known there: ")) << cure;
    const auto known = cure.substr(cure.find(": ") + 2);
    const std::regex word("\\w+");
    for (std::sregex_iterator at(known.begin(), known.end(), word), end; at != end; ++at) read.insert(section + " " + at->str());
  }
  EXPECT_EQ(read, in_table);
}

std::vector<std::string> changed_by(const char* text) {
  return keys_that_need_a_restart(default_configuration(), *parse_configuration(text, "f"));
}

TEST(Keys, EachThatNeedsARestartIsNamedWhenItChanges) {
  const std::pair<const char*, const char*> changes[] = {
      {"[tunnel]\nengine = \"kernel\"", "[tunnel] engine"},
      {"[tunnel]\ninterface = \"vpn\"", "[tunnel] interface"},
      {"[tunnel]\nipv4 = \"10.99.0.0/16\"", "[tunnel] ipv4"},
      {"[tunnel]\nipv6 = \"none\"", "[tunnel] ipv6"},
      {"[tunnel]\nwireguard_port = 443", "[tunnel] wireguard_port"},
      {"[tunnel]\nmtu = 1400", "[tunnel] mtu"},
      {"[tunnel]\noffload = \"none\"", "[tunnel] offload"},
      {"[tunnel]\ncrypto_workers = 1", "[tunnel] crypto_workers"},
      {"[tunnel]\ndisconnect_after = \"1h\"", "[tunnel] disconnect_after"},
      {"[openvpn]\nenabled = true", "[openvpn] enabled"},
      {"[openvpn]\ninterface = \"vpn\"", "[openvpn] interface"},
      {"[openvpn]\nprotocol = \"tcp\"", "[openvpn] protocol"},
      {"[openvpn]\nport = 443", "[openvpn] port"},
      {"[leases]\nhistory = \"0s\"", "[leases] history"},
      {"[audit]\nevery = \"1h\"", "[audit] every"},
      {"[api]\nport = 80", "[api] port"},
      {"[api]\nupnp = false", "[api] upnp"},
      {"[proxy]\nlisten = [\"10.0.0.1:3128\"]", "[proxy] listen"},
      {"[proxy]\nallow = [\"10.0.0.0/8\"]", "[proxy] allow"},
      {"[proxy]\nreach_private = [\"10.0.0.0/8\"]", "[proxy] reach_private"},
      {"[proxy]\nconnect_ports = [443]", "[proxy] connect_ports"},
      {"[proxy]\nudp = true", "[proxy] udp"},
      {"[proxy]\nbind_on = \"10.0.0.1\"", "[proxy] bind_on"},
      {"[proxy]\naccess_log = \"/a\"", "[proxy] access_log"},
      {"[proxy]\nanswer_timeout = \"9s\"", "[proxy] answer_timeout"},
      {"[limits]\napi_body_max = 2048", "[limits] api_body_max"},
      {"[limits]\napi_connections_max = 9", "[limits] api_connections_max"},
      {"[daemon]\nuser = \"root\"", "[daemon] user"},
  };
  std::set<std::string> tried, in_table;
  for (const auto& [text, key] : changes) {
    EXPECT_THAT(changed_by(text), ElementsAre(key)) << text;
    tried.insert(key);
  }
  for (const auto& row : rows_of_table())
    if (row.restart) in_table.insert(row.key);
  EXPECT_EQ(tried, in_table);
}

TEST(Keys, WhatIsTakenUpLiveNeedsNoRestart) {
  EXPECT_THAT(changed_by(""), IsEmpty());
  EXPECT_THAT(changed_by("[leases]\nhistory = \"3d\"\ngrace = \"1h\"\n[ports]\npool = \"2000-2999\"\n[tunnel]\ndns = [\"9.9.9.9\"]"),
              IsEmpty());
}

}  // namespace
}  // namespace drpf::configuration
