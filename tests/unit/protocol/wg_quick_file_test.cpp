#include "protocol/wireguard/wg_quick_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace drpf::protocol::wireguard {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* private_key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
constexpr const char* public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

std::string complete(const std::string& interface = {}, const std::string& peer = {}) {
  return std::string("[Interface]\nPrivateKey = ") + private_key + "\nAddress = 10.77.0.2/32\n" + interface +
         "\n[Peer]\nPublicKey = " + public_key + "\nAllowedIPs = 0.0.0.0/0\n" + peer + "\n";
}

WgQuickFile good(const std::string& text) {
  auto file = parse_wg_quick_file(text, "home.conf");
  EXPECT_TRUE(file) << file.error().message;
  return file.value_or(WgQuickFile{});
}

std::string message(const std::string& text) {
  const auto file = parse_wg_quick_file(text, "home.conf");
  EXPECT_FALSE(file) << "accepted:\n" << text;
  if (file) return {};
  EXPECT_FALSE(file.error().cure.empty()) << file.error().message;
  return file.error().message;
}

TEST(WgQuickFile, ReadsEverySetting) {
  const auto file = good(
      "# a comment\r\n"
      "[interface]\r\n"
      "privatekey=YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=   # secret\r\n"
      "Address = 10.77.0.2/24, fd77::2/64\n"
      "Address = 10.78.0.2\n"
      "DNS = 10.77.0.1, fd77::1, home.example\n"
      "MTU = 1380\n"
      "Table = 1234\n"
      "ListenPort = 51821\n"
      "FwMark = 0xca6c\n"
      "\n"
      "[Peer]\n"
      "PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
      "PresharedKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
      "AllowedIPs = 0.0.0.0/0, ::/0\n"
      "AllowedIPs = 10.77.0.0/16\n"
      "Endpoint = vpn.example.net:51820\n"
      "PersistentKeepalive = 25\n");
  EXPECT_EQ(file.private_key.bytes().front(), 0x60);
  ASSERT_EQ(file.addresses.size(), 3u);
  EXPECT_EQ(to_string(file.addresses[0]), "10.77.0.2/24");
  EXPECT_EQ(to_string(file.addresses[1]), "fd77::2/64");
  EXPECT_EQ(to_string(file.addresses[2]), "10.78.0.2/32");
  EXPECT_EQ(file.dns.size(), 2u);
  EXPECT_EQ(file.dns_search, std::vector<std::string>{"home.example"});
  EXPECT_EQ(file.mtu, 1380);
  EXPECT_EQ(std::get<std::uint32_t>(file.table), 1234u);
  EXPECT_EQ(file.listen_port, Port{51821});
  EXPECT_EQ(file.firewall_mark, 0xca6cu);
  ASSERT_EQ(file.peers.size(), 1u);
  const auto& peer = file.peers[0];
  EXPECT_EQ(peer.public_key.front(), 0xc5);
  EXPECT_EQ(peer.preshared_key.bytes(), file.private_key.bytes());
  EXPECT_EQ(peer.allowed_ips.size(), 3u);
  EXPECT_EQ(to_string(*peer.endpoint), "vpn.example.net:51820");
  EXPECT_EQ(peer.keepalive_s, 25);
  EXPECT_TRUE(file.notes.empty());
  EXPECT_FALSE(file.inbound_only);
}

TEST(WgQuickFile, NotesWhatItDoesNotRun) {
  const auto file = good(complete("PostUp = iptables -A FORWARD -i %i -j ACCEPT\nSaveConfig = true"));
  ASSERT_EQ(file.notes.size(), 2u);
  EXPECT_EQ(file.notes[0].line, 4u);
  EXPECT_THAT(file.notes[0].text, HasSubstr("PostUp is not run"));
}

TEST(WgQuickFile, KnowsTheInboundOnlyComment) { EXPECT_TRUE(good("# drpf: inbound-only\n" + complete()).inbound_only); }

TEST(WgQuickFile, AcceptsEachFormOfEndpoint) {
  const auto host = [](const std::string& text) { return good(complete("", "Endpoint = " + text)).peers.at(0).endpoint.value(); };
  EXPECT_EQ(host("198.51.100.1:51820"), (PeerHost{"198.51.100.1", Port{51820}}));
  EXPECT_EQ(host("[2001:db8::1]:51820"), (PeerHost{"2001:db8::1", Port{51820}}));
  EXPECT_EQ(to_string(host("[2001:db8::1]:51820")), "[2001:db8::1]:51820");
}

TEST(WgQuickFile, SmallForms) {
  EXPECT_TRUE(good("\xef\xbb\xbf" + complete()).peers.size() == 1);
  EXPECT_EQ(good(complete("FwMark = off")).firewall_mark, std::nullopt);
  EXPECT_EQ(good(complete("", "PersistentKeepalive = off")).peers[0].keepalive_s, 0);
  EXPECT_TRUE(std::holds_alternative<WgQuickFile::TableOff>(good(complete("Table = OFF")).table));
  EXPECT_TRUE(good(complete("", "AllowedIPs =")).peers[0].allowed_ips.size() == 1);
}

struct Bad {
  const char* interface;
  const char* peer;
  const char* expected;
};

TEST(WgQuickFile, RefusesBadValuesWithLineAndCure) {
  const Bad cases[] = {
      {"Address = 10.77.0.300/32", "", "home.conf:4: Address = 10.77.0.300/32"},
      {"Address = 10.77.0.2/33", "", "home.conf:4: Address = 10.77.0.2/33"},
      {"Address = fd77::2/129", "", "home.conf:4: Address"},
      {"Address = 0.0.0.0/0", "", "home.conf:4: Address"},
      {"DNS = bad name", "", "home.conf:4: DNS = bad name"},
      {"MTU = 100", "", "home.conf:4: MTU = 100"},
      {"MTU = 99999999999999", "", "home.conf:4: MTU"},
      {"Table = main", "", "home.conf:4: Table = main"},
      {"Table = 0", "", "home.conf:4: Table = 0"},
      {"ListenPort = 65536", "", "home.conf:4: ListenPort = 65536"},
      {"ListenPort = -1", "", "home.conf:4: ListenPort"},
      {"FwMark = 0xgg", "", "home.conf:4: FwMark = 0xgg"},
      {"PublicKey = x", "", "home.conf:4: PublicKey does not belong into [Interface]"},
      {"Colour = blue", "", "home.conf:4: unknown setting in [Interface]"},
      {"nonsense", "", "home.conf:4: the line is neither"},
      {"[Interfaces]", "", "home.conf:4: unknown section"},
      {"", "AllowedIPs = 10.0.0.0/40", "home.conf:8: AllowedIPs = 10.0.0.0/40"},
      {"", "Endpoint = 198.51.100.1", "home.conf:8: Endpoint"},
      {"", "Endpoint = 198.51.100.1:0", "home.conf:8: Endpoint"},
      {"", "Endpoint = 2001:db8::1:51820", "home.conf:8: Endpoint"},
      {"", "Endpoint = [2001:db8::1:51820", "home.conf:8: Endpoint"},
      {"", "Endpoint = [vpn.example]:51820", "home.conf:8: Endpoint"},
      {"", "Endpoint = vpn;reboot:51820", "home.conf:8: Endpoint"},
      {"", "Endpoint = :51820", "home.conf:8: Endpoint"},
      {"", "PersistentKeepalive = 70000", "home.conf:8: PersistentKeepalive = 70000"},
      {"", "PublicKey = short=", "home.conf:8: PublicKey is not a WireGuard key"},
      {"", "[Peer]", "home.conf:8: this [Peer] has no PublicKey"},
      {"MTU = 1000\nAddress = fd77::2/128", "", "home.conf:4: MTU = 1000 is too small"},
  };
  for (const auto& bad : cases) EXPECT_THAT(message(complete(bad.interface, bad.peer)), HasSubstr(bad.expected));
}

TEST(WgQuickFile, RefusesIncompleteFiles) {
  EXPECT_THAT(message(""), HasSubstr("no [Interface]"));
  EXPECT_THAT(message("Address = 1.2.3.4\n"), HasSubstr("home.conf:1: a setting stands before any section"));
  EXPECT_THAT(message("[Interface]\nAddress = 10.77.0.2\n"), HasSubstr("no PrivateKey"));
  EXPECT_THAT(message(std::string("[Interface]\nPrivateKey = ") + private_key), HasSubstr("no Address"));
  EXPECT_THAT(message(std::string("[Interface]\nPrivateKey = ") + private_key + "\nAddress = 10.77.0.2"), HasSubstr("no [Peer]"));
  EXPECT_THAT(message(std::string("[Interface]\nPrivateKey = ") + private_key + "\nAddress = 10.77.0.2\n[Peer]\n"),
              HasSubstr("no PublicKey"));
  EXPECT_THAT(message(std::string(wg_quick_file_size_max + 1, ' ')), HasSubstr("bytes"));
}

TEST(WgQuickFile, NeverQuotesAKey) {
  const std::string secret = private_key;
  for (const std::string& text : {"[Interface]\nPrivateKey = " + secret + "x\n", "[Interface]\n" + secret + "\n", secret + "\n",
                                  "[Interface]\nPrivateKey " + secret + "\n", "[Interface]\n" + secret.substr(0, 43) + "\n"}) {
    EXPECT_THAT(message(text), Not(HasSubstr("YAnz5")));
  }
}

// Everything that comes out of a text: what an error or a note may carry on, and the values that others are told.
std::string all_that_comes_out(const std::string& text) {
  const auto file = parse_wg_quick_file(text, "home.conf");
  if (!file) return file.error().message + " " + file.error().cure;
  std::string out;
  for (const auto& note : file->notes) out += note.text + "\n";
  for (const auto& name : file->dns_search) out += name + "\n";
  for (const auto& peer : file->peers)
    if (peer.endpoint) out += to_string(*peer.endpoint) + "\n";
  return out;
}

void expect_no_key_in(const std::string& out, const std::string& text) {
  constexpr std::size_t piece = 8;
  const std::string secret = private_key;
  for (std::size_t i = 0; i + piece <= secret.size(); ++i)
    ASSERT_EQ(out.find(secret.substr(i, piece)), std::string::npos) << out << "\nof:\n" << text;
}

TEST(WgQuickFile, NoKeyComesOutOfAFileThatIsDamagedInAnyByte) {
  const auto whole =
      complete("DNS = 10.77.0.1\nMTU = 1420\nTable = auto",
               std::string("PresharedKey = ") + private_key + "\nEndpoint = vpn.example.net:51820\nPersistentKeepalive = 25");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char byte : {'\n', ' ', '=', '#', ',', '[', 'x', ':', '.', '\0'}) {
      auto damaged = whole;
      damaged[i] = byte;
      expect_no_key_in(all_that_comes_out(damaged), damaged);
    }
    auto shorter = whole;
    shorter.erase(i, 1);
    expect_no_key_in(all_that_comes_out(shorter), shorter);
    expect_no_key_in(all_that_comes_out(whole.substr(0, i)), whole.substr(0, i));
    expect_no_key_in(all_that_comes_out(whole.substr(i)), whole.substr(i));
  }
}

TEST(WgQuickFile, NoKeyComesOutFromUnderAnotherSetting) {
  const std::string secret = private_key;
  for (const auto* setting : {"Address", "DNS", "MTU", "Table", "ListenPort", "FwMark", "PostUp", "SaveConfig", "Colour"}) {
    for (const auto& value : {secret, secret.substr(0, 43), secret.substr(0, 20), "10.77.0.2/32PrivateKey=" + secret, secret + ":51820"}) {
      const auto text = complete(std::string(setting) + " = " + value);
      expect_no_key_in(all_that_comes_out(text), text);
    }
  }
  for (const auto* setting : {"AllowedIPs", "Endpoint", "PersistentKeepalive", "PublicKey"}) {
    for (const auto& value : {secret, secret.substr(0, 43), secret + ":51820", "vpn.example.net:51820PrivateKey=" + secret}) {
      const auto text = complete("", std::string(setting) + " = " + value);
      expect_no_key_in(all_that_comes_out(text), text);
    }
  }
  // A key without '+', '/' and '=' has all that a name has; it would be looked up, and said.
  EXPECT_THAT(message(complete("DNS = YAnz5TFplXXJte14tji3zlMNqAhd2rYUIgJBgB3fBmk")), Not(HasSubstr("YAnz5TFp")));
  EXPECT_THAT(message(complete("", "Endpoint = YAnz5TFplXXJte14tji3zlMNqAhd2rYUIgJBgB3fBmk:51820")), Not(HasSubstr("YAnz5TFp")));
}

TEST(WgQuickFile, ItsKeysHaveNoText) {
  static_assert(!fmt::is_formattable<crypto::SecretKey>::value);
  EXPECT_THAT(message(complete("", std::string("PublicKey = ") + private_key)), HasSubstr("is this device's PrivateKey"));
}

TEST(WgQuickFile, HasLimits) {
  std::string peers = complete();
  for (std::size_t i = 0; i < wg_quick_peers_max; ++i) peers += std::string("[Peer]\nPublicKey = ") + public_key + "\n";
  EXPECT_THAT(message(peers), HasSubstr("more than 256 peers"));
  std::string ips = "AllowedIPs = 10.0.0.0/8";
  for (std::size_t i = 0; i < wg_quick_allowed_ips_max; ++i) ips += ",10.0.0.0/8";
  EXPECT_THAT(message(complete("", ips)), HasSubstr("prefixes in AllowedIPs"));
  std::string hooks;
  for (std::size_t i = 0; i < wg_quick_notes_max + 5; ++i) hooks += "PostUp = true\n";
  EXPECT_EQ(good(complete(hooks)).notes.size(), wg_quick_notes_max);
}

}  // namespace
}  // namespace drpf::protocol::wireguard
