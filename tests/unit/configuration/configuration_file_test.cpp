#include "configuration/configuration_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>

#include "support/temporary_folder.h"

namespace drpf::configuration {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ConfigurationFile, AnEmptyFileIsTheDefaultConfiguration) {
  EXPECT_EQ(parse_configuration("", "drpf.toml"), default_configuration());
  EXPECT_EQ(parse_configuration("# nothing\n[ports]\n[leases]\n", "drpf.toml"), default_configuration());
}

TEST(ConfigurationFile, EveryKeyArrivesInItsPlace) {
  const auto read = parse_configuration(R"(
[[host]]
name = "first"
interfaces = ["eth0", "eth1"]
ipv4 = "198.51.100.7"
ipv6 = "2001:db8::7"
[[host]]
name = "second"
ipv4 = "198.51.100.8"
[entry]
ipv4 = "198.51.100.9"
ipv6 = "2001:db8::9"
name = "vpn.example.org"
[tunnel]
interface = "wgdrpf"
ipv4 = "10.99.0.0/20"
ipv6 = "fd99::/108"
wireguard_port = 443
mtu = 1380
offload = "no-uso"
dns = ["9.9.9.9", "2620:fe::fe"]
private_networks = ["10.20.0.0/16", "fd20::/64"]
disconnect_after = "5m"
[ports]
pool = "2000-2999"
snat = "40000-49999"
ephemeral = "50000-59999"
reserved = ["2500-2509", 2600]
services_tcp = [22, 80]
services_udp = [53]
[leases]
grace = "2d"
quarantine = "20m"
history = "3d"
default_plan = "family"
[[plan]]
name = "family"
ports_max = 20
ports_at_connect = 10
port_choice = true
lease_lifetime = "90m"
[[plan]]
name = "personal"
ports_max = 3
[api]
port = 8080
[audit]
every = "6h"
[limits]
connections_per_device = 100
packets_per_lease_per_s = 50
requests_per_device_per_s = 30
connection_table_alarm = 60
accounts_max = 10
devices_per_account_max = 4
api_body_max = 4096
api_connections_max = 20
)",
                                        "drpf.toml");
  ASSERT_TRUE(read) << read.error().message;
  auto expected = default_configuration();
  expected.hosts = {{"first", {"eth0", "eth1"}, *parse_address("198.51.100.7"), *parse_address("2001:db8::7")},
                    {"second", {}, *parse_address("198.51.100.8"), std::nullopt}};
  expected.entry_v4 = *parse_address("198.51.100.9");
  expected.entry_v6 = *parse_address("2001:db8::9");
  expected.endpoint_name = "vpn.example.org";
  expected.tunnel_interface = "wgdrpf";
  expected.tunnel_v4 = *parse_prefix("10.99.0.0/20");
  expected.tunnel_v6 = *parse_prefix("fd99::/108");
  expected.tunnel_v6_named = true;
  expected.wireguard_port = Port{443};
  expected.mtu = 1380;
  expected.offload = Offload::no_uso;
  expected.dns = {*parse_address("9.9.9.9"), *parse_address("2620:fe::fe")};
  expected.private_networks = {*parse_prefix("10.20.0.0/16"), *parse_prefix("fd20::/64")};
  expected.disconnect_after = 5min;
  expected.pool = *parse_port_range("2000-2999");
  expected.snat = *parse_port_range("40000-49999");
  expected.ephemeral = *parse_port_range("50000-59999");
  expected.reserved = {*parse_port_range("2500-2509"), *parse_port_range("2600")};
  expected.input_tcp = {Port{22}, Port{80}};
  expected.input_udp = {Port{53}};
  expected.grace = 48h;
  expected.quarantine = 20min;
  expected.history = 72h;
  expected.audit_every = 6h;
  expected.default_plan = "family";
  expected.plans[0].ports_max = 3;
  expected.plans[0].ports_at_connect = 3;  // not more than ports_max
  expected.plans.push_back({"family", 20, 10, true, 90min});
  expected.api_port = Port{8080};
  expected.limits = {100, 50, 60, 30, 10, 4, 4096, 20};
  EXPECT_EQ(*read, expected);
}

TEST(ConfigurationFile, CommentsMayBeInAnyLanguage) {
  EXPECT_EQ(parse_configuration("\xef\xbb\xbf# \u00fcber \u30dd\u30fc\u30c8 \xff\n[api] # \u00a1hola!\nport = 99", "f")->api_port,
            Port{99});
}

TEST(ConfigurationFile, OpenVpnIsSwitchedOnByOneWordAndItsPortIsNobodyElses) {
  const auto plain = parse_configuration("[openvpn]\nenabled = true\n", "f");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->openvpn, (OpenVpnConfig{true, "drpf1", Protocol::udp, Port{1194}}));
  ASSERT_TRUE(parse_configuration("[openvpn]\nenabled = true\nprotocol = \"tcp\"\nport = 443\n", "f"));
  for (const auto* bad :
       {"port = 20000", "port = 51820", "port = 5351", "protocol = \"tcp\"\nport = 5351", "protocol = \"sctp\"", "interface = \"drpf0\""})
    EXPECT_FALSE(parse_configuration(std::string("[openvpn]\nenabled = true\n") + bad + "\n", "f")) << bad;
}

TEST(ConfigurationFile, TheTunnelCanBeWithoutIpv6) {
  EXPECT_EQ(parse_configuration("[tunnel]\nipv6 = \"none\"\nmtu = 1000", "f")->tunnel_v6, std::nullopt);
}

struct BadFile {
  const char* text;
  const char* place;    // "LINE:COLUMN"
  const char* message;  // a part of it
};

class BadConfigurationFile : public testing::TestWithParam<BadFile> {};

TEST_P(BadConfigurationFile, IsRefusedWithPlaceReasonAndCure) {
  const auto read = parse_configuration(GetParam().text, "/etc/drpf/drpf.toml");
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, StartsWith(std::string("/etc/drpf/drpf.toml:") + GetParam().place + ": "));
  EXPECT_THAT(read.error().message, HasSubstr(GetParam().message));
  EXPECT_FALSE(read.error().cure.empty());
  EXPECT_EQ(read.error().kind, Error::Kind::configuration);
}

constexpr BadFile bad_files[] = {
    {"a = ", "1:5", "not TOML"},
    {"# 1\n# 2\na = [[[}\n# 4\n", "3:1", "not TOML"},
    {"# \u00fc\n[ports]\np\u00e1ol = 1", "3:2", "possible in comments only"},
    {"[tunnel]\ninterface = \"tun\xff\"", "2:17", "possible in comments only"},
    {"a = [}", "1:1", "not TOML"},
    {"pool = \"1-2\"", "1:1", "unknown key 'pool' in the file"},
    {"[ports]\npol = \"1-2\"", "2:1", "unknown key 'pol' in [ports]"},
    {"[port]\n", "1:2", "unknown key 'port'"},
    {"tunnel = 3", "1:10", "must be a table"},
    {"[host]\nname = \"a\"", "1:1", "must be one table or more"},
    {"host = [1]", "1:8", "must be one table or more"},
    {"[[host]]\nadress = \"a\"", "2:1", "unknown key 'adress' in [[host]]"},
    {"[[host]]\nname = \"Main\"", "2:8", "cannot be a name"},
    {"[[host]]\nname = \"\"", "2:8", "cannot be a name"},
    {"[[host]]\n[[host]]\n", "2:1", "two hosts named 'main'"},
    {"[[host]]\nipv4 = \"1.2.3\"", "2:8", "not an IP address"},
    {"[[host]]\nipv4 = \"2001:db8::1\"", "2:8", "other address family"},
    {"[[host]]\nipv6 = \"198.51.100.1\"", "2:8", "other address family"},
    {"[[host]]\nipv4 = \"127.0.0.1\"", "2:8", "no address that others can reach"},
    {"[[host]]\nipv4 = \"0.0.0.0\"", "2:8", "no address that others can reach"},
    {"[[host]]\nipv6 = \"fe80::1\"", "2:8", "no address that others can reach"},
    {"[[host]]\nipv4 = \"10.77.3.4\"", "2:8", "inside the tunnel's 10.77.0.0/16"},
    {"[[host]]\nipv6 = \"fd77:6472:7066::9\"", "2:8", "inside the tunnel's"},
    {"[[host]]\nname = \"a\"\nipv4 = \"192.0.2.1\"\n[[host]]\nname = \"b\"\nipv4 = \"192.0.2.1\"", "6:8",
     "belongs to the host 'a' already"},
    {"[[host]]\ninterfaces = \"eth0\"", "2:14", "must be a list"},
    {"[[host]]\ninterfaces = [1]", "2:15", "must be a text"},
    {"[[host]]\ninterfaces = [\"an-interface-too-long\"]", "2:14", "cannot be the name of an interface"},
    {"[[host]]\ninterfaces = [\"eth0\\\" accept\"]", "2:14", "cannot be the name of an interface"},
    {"[entry]\nname = \"a b\"", "2:8", "not a host name"},
    {"[entry]\nname = \"vpn.example.org:51820\"", "2:8", "not a host name"},
    {"[entry]\nname = \"::::\"", "2:8", "not a host name"},
    {"[entry]\nname = \".\"", "2:8", "not a host name"},
    {"[entry]\nipv4 = \"10.77.3.4\"", "2:8", "inside the tunnel's 10.77.0.0/16"},
    {"[tunnel]\ninterface = \"all\"", "2:13", "means something else"},
    {"[tunnel]\nipv4 = \"127.0.0.0/8\"", "2:8", "no device can have"},
    {"[tunnel]\nipv4 = \"169.254.8.0/24\"", "2:8", "no device can have"},
    {"[tunnel]\nipv4 = \"0.0.0.0/8\"", "2:8", "no device can have"},
    {"[tunnel]\nipv4 = \"224.0.0.0/8\"", "2:8", "no device can have"},
    {"[tunnel]\nipv4 = \"255.255.255.0/24\"", "2:8", "no device can have"},
    {"[tunnel]\nipv6 = \"fe80::/64\"", "2:8", "no device can have"},
    {"[tunnel]\nipv6 = \"ff02::/64\"", "2:8", "no device can have"},
    {"[tunnel]\nipv6 = \"::/64\"", "2:8", "no device can have"},
    {"[tunnel]\nipv6 = \"::ffff:0:0/96\"", "2:8", "no device can have"},
    {"[tunnel]\ndns = [\"0.0.0.0\"]", "2:7", "no address of a name server"},
    {"[tunnel]\nwireguard_port = 5351\n[api]\nport = 80", "2:18", "the gateway itself answers"},
    {"[tunnel]\nwireguard_port = 1900", "2:18", "the gateway itself answers"},
    {"[ports]\npool = \"23-31999\"", "2:8", "overlaps the devices' API 5351"},
    {"[api]\nport = 20000", "2:8", "the pool 10000-31999 overlaps the devices' API 20000"},
    {"[[plan]]\nname = \"a\"\nlease_lifetime = \"10d\"", "3:18", "10d is out of bounds"},
    {"[entry]\nname = \"a\\nPostUp = x\"", "2:8", "not a host name"},
    {"[tunnel]\ninterface = \"a/b\"", "2:13", "cannot be the name of an interface"},
    {"[tunnel]\nipv4 = \"10.77.0.1/16\"", "2:8", "bits set behind its prefix length"},
    {"[tunnel]\nipv4 = \"10.77.0.0/33\"", "2:8", "no valid prefix length"},
    {"[tunnel]\nipv4 = \"10.77.0.0/30\"", "2:8", "too small"},
    {"[tunnel]\nipv4 = \"0.0.0.0/0\"", "2:8", "too large"},
    {"[tunnel]\nipv4 = \"fd00::/64\"", "2:8", "other address family"},
    {"[tunnel]\nipv6 = \"fd00::/120\"", "2:8", "does not go with"},
    {"[tunnel]\nwireguard_port = 0", "2:18", "from 1 to 65535"},
    {"[tunnel]\nwireguard_port = 65536", "2:18", "from 1 to 65535"},
    {"[tunnel]\nwireguard_port = \"51820\"", "2:18", "whole number"},
    {"[tunnel]\nwireguard_port = 20000", "2:18", "the pool 10000-31999 overlaps WireGuard's port 20000"},
    {"[tunnel]\nmtu = 1200", "2:7", "IPv6 needs an MTU of at least 1280"},
    {"[tunnel]\nmtu = 1420.5", "2:7", "whole number"},
    {"[tunnel]\noffload = \"some\"", "2:11", "no such word"},
    {"[tunnel]\ndns = [\"dns.example.org\"]", "2:8", "not an IP address"},
    {"[tunnel]\nprivate_networks = [\"10.20.0.0/33\"]", "2:20", "'10.20.0.0/33' is not a network"},
    {"[tunnel]\ndisconnect_after = \"5\"", "2:20", "not a duration"},
    {"[tunnel]\ndisconnect_after = \"1s\"", "2:20", "1s is out of bounds"},
    {"[ports]\npool = \"2000\"\nsnat = \"1999-40000\"", "3:8", "the pool 2000 overlaps the SNAT range 1999-40000"},
    {"[ports]\npool = \"30000-33000\"", "2:8", "the pool 30000-33000 overlaps the SNAT range 32768-51199"},
    {"[ports]\npool = \"1-31999\"", "2:8", "overlaps the TCP service 22"},
    {"[ports]\nservices_udp = [52000]", "2:16", "the ephemeral range 52000-60999 overlaps the UDP service 52000"},
    {"[ports]\npool = \"300-200\"", "2:8", "ends before it begins"},
    {"[ports]\npool = \"0-200\"", "2:8", "port 0 cannot be used"},
    {"[ports]\npool = \"0\"", "2:8", "port 0 cannot be used"},
    {"[ports]\npool = \"1-70000\"", "2:8", "not a port number"},
    {"[ports]\nreserved = [-1]", "2:13", "not a port number"},
    {"[ports]\nsnat = \"40000-40100\"", "2:8", "too few"},
    {"[ports]\nservices_tcp = [\"80-90\"]", "2:16", "no ranges"},
    {"[leases]\nquarantine = \"60s\"", "2:14", "out of bounds"},
    {"[leases]\ngrace = \"-1h\"", "2:9", "not a duration"},
    {"[leases]\ngrace = \"99999999999999999999h\"", "2:9", "not a duration"},
    {"[leases]\ngrace = 24", "2:9", "must be a text"},
    {"[leases]\ndefault_plan = \"gold\"", "2:16", "no plan 'gold'"},
    {"[[plan]]\nports_max = 1", "1:1", "cannot be a name"},
    {"[[plan]]\nname = \"a\"\nports_max = 1\nports_at_connect = 2", "4:20", "more than ports_max = 1"},
    {"[[plan]]\nname = \"a\"\nport_choice = 1", "3:15", "true or false"},
    {"[[plan]]\nname = \"a\"\n[[plan]]\nname = \"a\"", "4:8", "two plans named 'a'"},
    {"[[plan]]\nname = \"a\"\nlease_lifetime = \"30s\"", "3:18", "out of bounds"},
    {"[api]\nport = 100000", "2:8", "from 1 to 65535"},
    {"[limits]\naccounts_max = 0", "2:16", "from 1 to"},
    {"[limits]\napi_body_max = 99999999999", "2:16", "from 1024 to"},
    {"[leases]\ngrace = \"1h\"\nquarantine = \"1s\"\n[ports]\npool = \"x\"", "3:14", "out of bounds"},  // the first fault in the file
};
INSTANTIATE_TEST_SUITE_P(Table, BadConfigurationFile, testing::ValuesIn(bad_files));

TEST(ConfigurationFile, WhatTheFileLeavesOutIsAsTheDefaultsSay) {
  auto defaults = default_configuration();
  defaults.input_tcp = {Port{2222}};
  EXPECT_THAT(parse_configuration("[leases]\ngrace = \"1h\"", "f", defaults)->input_tcp, ElementsAre(Port{2222}));
  EXPECT_THAT(parse_configuration("[ports]\nservices_tcp = [22]", "f", defaults)->input_tcp, ElementsAre(Port{22}));
  EXPECT_THAT(parse_configuration("[ports]\nservices_tcp = []", "f", defaults)->input_tcp, testing::IsEmpty());
  EXPECT_EQ(parse_configuration("", "f", defaults), defaults);
}

TEST(ConfigurationFile, SaysWhyAFileCannotBeRead) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(read_configuration_file(folder / "absent.toml").error().message, HasSubstr("No such file or directory"));
  EXPECT_THAT(read_configuration_file(folder / "").error().message, HasSubstr("Is a directory"));
  EXPECT_EQ(read_configuration_file(folder / "absent.toml").error().kind, Error::Kind::configuration);
}

TEST(ConfigurationFile, NamesAFileThatIsNotThereOrTooLarge) {
  const test::TemporaryFolder folder;
  const auto absent = read_configuration_file(folder / "absent.toml");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, "config_unreadable");
  EXPECT_THAT(absent.error().message, HasSubstr(folder / "absent.toml"));
  std::ofstream(folder / "huge.toml") << std::string(configuration_bytes_max + 1, '#');
  EXPECT_THAT(read_configuration_file(folder / "huge.toml").error().message, HasSubstr("larger than"));
  std::ofstream(folder / "good.toml") << "[api]\nport = 99\n";
  EXPECT_EQ(read_configuration_file(folder / "good.toml")->api_port, Port{99});
}

TEST(ConfigurationFile, TheProxyListensWhereNobodyFromOutsideComes) {
  const auto read =
      parse_configuration("[proxy]\nlisten = [\"192.168.7.1:3128\", \"[fd00::1]:3128\"]\nreach_private = [\"10.0.0.0/8\"]\n", "f");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->proxy.listen.size(), 2U);
  EXPECT_EQ(read->proxy.reach_private, std::vector{*parse_prefix("10.0.0.0/8")});
  for (const auto* const address : {"0.0.0.0:3128", "198.51.100.1:3128", "[::]:3128", "192.168.7.1:0", "192.168.7.1"})
    EXPECT_FALSE(parse_configuration(fmt::format("[proxy]\nlisten = [\"{}\"]\n", address), "f")) << address;
}

TEST(ConfigurationFile, TheExampleThatIsShippedIsTheDefaultConfiguration) {
  const auto read = read_configuration_file(DRPF_SOURCE_DIR "/packaging/drpf.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, default_configuration());
}

// Every line of the example that is commented out with "#" and no blank is a key with its default.
TEST(ConfigurationFile, TheExamplesCommentedKeysAreGoodToo) {
  std::ifstream file(DRPF_SOURCE_DIR "/packaging/drpf.toml");
  std::string text;
  std::size_t keys = 0;
  for (std::string line; std::getline(file, line);) {
    const bool key = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#';
    text += (key ? line.substr(1) : line) + "\n";
    keys += key ? 1 : 0;
  }
  EXPECT_GT(keys, 30U);
  const auto read = parse_configuration(text, "drpf.toml");
  ASSERT_TRUE(read) << read.error().message;
}

// As one finds it that is read while it is written. A number without quotes that is cut is a number all the same: nobody can know.
TEST(ConfigurationFile, CutAnywhereIsRefusedOrSaysWhatItsWholeLinesSay) {
  const std::string text =
      "[entry]\r\nname = \"vpn.example.org\"\r\n[tunnel]\nipv4 = \"10.9.0.0/16\"\nipv6 = \"fd00:9::/64\"\nwireguard_port = 51999\n"
      "mtu = 1400\nengine = \"embedded\"\ndns = [\"9.9.9.9\",\n  \"2620:fe::fe\"]\n[ports]\npool = \"10000-19999\"\nsnat = "
      "\"20000-39999\"\n"
      "services_tcp = [22, 80, 443]\n[leases]\ngrace = \"12h\"\nquarantine = \"900s\"\ndefault_plan = \"family\"\n[[plan]]\nname = "
      "\"family\"\n"
      "ports_max = 10\nlease_lifetime = \"7d\"\n[api]\nupnp = false\n[limits]\naccounts_max = 1000\n[daemon]\nuser = \"root\"\n";
  ASSERT_TRUE(parse_configuration(text, "f"));
  std::size_t taken = 0;
  for (std::size_t size = 0; size < text.size(); ++size) {
    SCOPED_TRACE(text.substr(0, size));
    const auto cut = parse_configuration(text.substr(0, size), "f");
    if (!cut) {
      EXPECT_EQ(cut.error().kind, Error::Kind::configuration);
      EXPECT_TRUE(cut.error().message.starts_with("f")) << cut.error().message;
      EXPECT_FALSE(cut.error().cure.empty()) << cut.error().message;
      continue;
    }
    ++taken;
    const auto line_begin = text.rfind('\n', size == 0 ? 0 : size - 1);
    const auto before = parse_configuration(text.substr(0, size == 0 || line_begin == std::string::npos ? 0 : line_begin + 1), "f");
    const auto through = parse_configuration(text.substr(0, text.find('\n', size) + 1), "f");
    const bool in_number = size > 0 && text[size - 1] >= '0' && text[size - 1] <= '9';
    EXPECT_TRUE(in_number || (before && *cut == *before) || (through && *cut == *through));
  }
  EXPECT_GT(taken, 30U);
  EXPECT_LT(taken, text.size() / 3);
}

}  // namespace
}  // namespace drpf::configuration
