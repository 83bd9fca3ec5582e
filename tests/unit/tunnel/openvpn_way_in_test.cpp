// OpenVPN's way in against a made-up daemon: what it answers, whom it tells of, and what it has the host do in which order.
#include "tunnel/openvpn/openvpn_way_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include "core/encoding.h"
#include "crypto/certificates.h"
#include "support/fake_clock.h"
#include "support/memory_store.h"

namespace drpf::tunnel::openvpn {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr lease::DeviceId laptop{7};

class OpenVpnWayInTest : public ::testing::Test {
 protected:
  void SetUp() override {
    lease::Transaction devices;
    devices.records.emplace_back(lease::PutAccount{{lease::AccountId{1}, "alice", "personal"}});
    devices.records.emplace_back(lease::PutDevice{{laptop, lease::AccountId{1}, "laptop", own_.address(), {}, false}});
    ASSERT_TRUE(store_.commit(devices, {"boot-1", clock_.now(), clock_.wall_now()}));
    restart();
    store::Credentials made;
    ASSERT_TRUE(way_in_->make_credentials(laptop, {}, [](lease::DeviceId) { return std::string(); }, made));
    ASSERT_TRUE(store_.commit_with({}, made, {"boot-1", clock_.now(), clock_.wall_now()}));
    way_in_->take_up(made);
    digest_ = colons(to_hex(crypto::certificate_fingerprint(made.openvpn.front().certificate)));
    ASSERT_TRUE(way_in_->let_in({laptop, {own_}}));
    begin_daemon();
  }
  void restart() {
    Settings settings;
    settings.tunnel_v4 = *parse_prefix("10.77.0.0/16");
    OpenVpnWayIn::Host host;
    host.lead_here = [this](const Prefix& device) { return did("lead here " + to_string(device)); };
    host.lead_away = [this](const Prefix& device) { return did("lead away " + to_string(device)); };
    host.shut = [this](const std::vector<Prefix>& devices) { return did("shut " + std::to_string(devices.size())); };
    host.drain = [this] { (void)did("drain"); };
    auto opened =
        OpenVpnWayIn::open(settings, {store_, clock_, log_, host, [this](const DeviceEvent& event) { events_.push_back(event); }});
    ASSERT_TRUE(opened) << opened.error().message;
    way_in_ = std::move(*opened);
  }
  void begin_daemon() {
    way_in_->daemon_began([this](const std::string& command) { did_.push_back(command); });
  }
  Status did(const std::string& what) {
    did_.push_back(what);
    return {};
  }
  static std::string colons(const std::string& hex) {
    std::string out;
    for (std::size_t i = 0; i < hex.size(); i += 2) out += (i == 0 ? "" : ":") + hex.substr(i, 2);
    return out;
  }
  void hear(const std::string& lines) { ASSERT_TRUE(way_in_->received(lines)); }
  void ask(int client, int key, const std::string& verb = "CONNECT") {
    hear(">CLIENT:" + verb + "," + std::to_string(client) + "," + std::to_string(key) + "\n>CLIENT:ENV,tls_digest_sha256_0=" + digest_ +
         "\n>CLIENT:ENV,END\n");
  }
  void establish(int client, const std::string& port = "40000") {
    hear(">CLIENT:ESTABLISHED," + std::to_string(client) + "\n>CLIENT:ENV,trusted_ip=198.51.100.7\n>CLIENT:ENV,trusted_port=" + port +
         "\n>CLIENT:ENV,END\n");
  }
  void gone(int client) { hear(">CLIENT:DISCONNECT," + std::to_string(client) + "\n>CLIENT:ENV,END\n"); }
  void come(int client) {
    ask(client, 1);
    establish(client);
    way_in_->admit(laptop, *parse_address("198.51.100.7"));
  }
  std::vector<std::string> take_did() { return std::exchange(did_, {}); }
  std::vector<DeviceEvent> take_events() { return std::exchange(events_, {}); }

  const Prefix own_ = *parse_prefix("10.77.0.2/32");
  tests::MemoryStore store_;
  tests::FakeClock clock_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  std::string digest_;
  std::vector<std::string> did_;
  std::vector<DeviceEvent> events_;
  std::unique_ptr<OpenVpnWayIn> way_in_;
};

TEST_F(OpenVpnWayInTest, ADeviceGetsItsAddressAndIsToldOfWhenItsTunnelStands) {
  ask(0, 1);
  const auto answer = take_did();
  ASSERT_EQ(answer.size(), 1U);
  EXPECT_THAT(answer[0], HasSubstr("client-auth 0 1\nifconfig-push 10.77.0.2 255.255.0.0\n"));
  EXPECT_THAT(answer[0], Not(HasSubstr("comp")));
  EXPECT_THAT(take_events(), IsEmpty());
  establish(0);
  const auto events = take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<DeviceConnected>(events[0]).endpoint, *parse_endpoint("198.51.100.7:40000"));
  way_in_->admit(laptop, *parse_address("198.51.100.7"));
  EXPECT_THAT(take_did(), ElementsAre("lead here 10.77.0.2/32"));
  gone(0);
  EXPECT_TRUE(std::holds_alternative<DeviceDisconnected>(take_events().at(0)));
  EXPECT_THAT(take_did(), ElementsAre("lead away 10.77.0.2/32"));
}

TEST_F(OpenVpnWayInTest, WithoutACertificateOfADeviceNobodyGetsIn) {
  digest_ = "00:11";
  ask(0, 1);
  EXPECT_THAT(take_did().at(0), HasSubstr("client-deny 0 1"));
  establish(0);
  EXPECT_THAT(take_events(), IsEmpty());
  EXPECT_THAT(take_did(), ElementsAre("client-kill 0 RESTART\n"));
  EXPECT_EQ(way_in_->strangers().at(0).times, 1U);
}

TEST_F(OpenVpnWayInTest, OfTwoConnectionsTheNewerStaysAndTheOldersEndChangesNothing) {
  come(0);
  (void)take_did();
  ask(1, 1);
  const auto did = take_did();
  ASSERT_EQ(did.size(), 2U);
  EXPECT_EQ(did[0], "client-kill 0 HALT\n");
  EXPECT_THAT(did[1], HasSubstr("client-auth 1 1"));
  establish(1, "41000");
  (void)take_events();
  gone(0);
  EXPECT_THAT(take_events(), IsEmpty());
  EXPECT_EQ(way_in_->status(laptop)->endpoint, *parse_endpoint("198.51.100.7:41000"));
}

TEST_F(OpenVpnWayInTest, ANewKeyIsTakenFromADeviceAndEndsARemovedOne) {
  come(0);
  (void)take_did();
  ask(0, 2, "REAUTH");
  EXPECT_THAT(take_did(), ElementsAre("client-auth-nt 0 2\n"));
  ASSERT_TRUE(way_in_->remove(laptop));
  // Shut out on this side before the daemon is asked, for it takes its time.
  EXPECT_THAT(take_did(), ElementsAre("lead away 10.77.0.2/32", "shut 1", "drain", "client-kill 0 HALT\n"));
  ask(0, 3, "REAUTH");
  EXPECT_THAT(take_did(), ElementsAre(HasSubstr("client-deny 0 3"), "client-kill 0 HALT\n"));
  EXPECT_FALSE(way_in_->knows(laptop));
}

TEST_F(OpenVpnWayInTest, ASuspendedDeviceIsSentAwayAndMayTryAgain) {
  come(0);
  (void)take_did();
  (void)take_events();
  ASSERT_TRUE(way_in_->let_in({laptop, {}}));
  EXPECT_THAT(take_did(), ElementsAre("lead away 10.77.0.2/32", "shut 1", "drain", "client-kill 0 RESTART\n"));
  EXPECT_TRUE(std::holds_alternative<DeviceDisconnected>(take_events().at(0)));
  ask(1, 1);
  EXPECT_THAT(take_did().at(0), HasSubstr("TEMP"));
  ASSERT_TRUE(way_in_->let_in({laptop, {own_}}));
  come(2);
  EXPECT_THAT(take_did().at(0), HasSubstr("client-auth 2 1"));
}

// The numbers of clients begin at 0 again with each daemon.
TEST_F(OpenVpnWayInTest, ADaemonThatIsStartedAgainKnowsNobodyAndItsClientsHaveTimeToReturn) {
  come(0);
  (void)take_events();
  way_in_->daemon_ended();
  begin_daemon();
  gone(0);
  EXPECT_THAT(take_events(), IsEmpty());
  clock_.time += OpenVpnWayIn::return_max - 1s;
  way_in_->poll();
  EXPECT_THAT(take_events(), IsEmpty());
  come(0);
  EXPECT_TRUE(std::holds_alternative<DeviceConnected>(take_events().at(0)));
  clock_.time += 10s;
  way_in_->poll();
  EXPECT_THAT(take_events(), IsEmpty());
  way_in_->daemon_ended();
  clock_.time += OpenVpnWayIn::return_max;
  way_in_->poll();
  EXPECT_TRUE(std::holds_alternative<DeviceDisconnected>(take_events().at(0)));
}

TEST_F(OpenVpnWayInTest, WhereADeviceIsIsFollowedByTheDaemonsList) {
  come(0);
  (void)take_events();
  (void)take_did();
  way_in_->poll();
  EXPECT_THAT(take_did(), ElementsAre("status 3\n"));
  hear("CLIENT_LIST\tdevice-7\t203.0.113.9:555\t10.77.0.2\t\t100\t200\tnow\t1\tUNDEF\t0\t0\tAES-256-GCM\n");
  EXPECT_EQ(std::get<DeviceRoamed>(take_events().at(0)).endpoint, *parse_endpoint("203.0.113.9:555"));
  EXPECT_EQ(way_in_->status(laptop)->bytes_received, 100U);
}

TEST_F(OpenVpnWayInTest, ADeviceThatIsHereByAnotherWayIsHereByThisNoMore) {
  come(0);
  (void)take_did();
  way_in_->depart(laptop);
  EXPECT_THAT(take_did(), ElementsAre("lead away 10.77.0.2/32", "client-kill 0 HALT\n"));
  EXPECT_FALSE(way_in_->status(laptop)->endpoint);
  gone(0);
  EXPECT_THAT(take_events(), ElementsAre(testing::VariantWith<DeviceConnected>(testing::_)));
}

TEST_F(OpenVpnWayInTest, CredentialsAndAuthorityAreThereAfterARestart) {
  DeviceCard card;
  card.device = laptop;
  card.account_name = "alice";
  card.device_name = "laptop";
  card.host = "vpn.example.org";
  const auto before = way_in_->device_configuration(card);
  ASSERT_TRUE(before);
  restart();
  EXPECT_EQ(way_in_->device_configuration(card).value(), *before);
  for (const auto* part : {"remote vpn.example.org 1194\n", "<ca>\n-----BEGIN CERTIFICATE-----\n", "<cert>\n",
                           "<key>\n-----BEGIN PRIVATE KEY-----\n", "verify-x509-name drpf-gateway name\n", "proto udp\n"})
    EXPECT_THAT(*before, HasSubstr(part));
  EXPECT_THAT(*before, Not(HasSubstr("comp")));
  card.host = "[2001:db8::1]:443";
  EXPECT_THAT(*way_in_->device_configuration(card), HasSubstr("remote 2001:db8::1 443\n"));
  card.inbound_only = true;
  EXPECT_EQ(way_in_->device_configuration(card).error().code, "inbound_only_unsupported");
}

TEST_F(OpenVpnWayInTest, TheServersCertificateIsRenewedLongBeforeItEndsAndTheAuthorityStays) {
  const auto before = store_.load_openvpn_identity().value().value();
  EXPECT_EQ(gateway_identity(store_, clock_.wall_now() + 24h * 365 * 4).value(), before);
  const auto after = gateway_identity(store_, clock_.wall_now() + 24h * 365 * 6).value();
  EXPECT_EQ(after.authority_certificate, before.authority_certificate);
  EXPECT_NE(after.server_certificate, before.server_certificate);
}

TEST_F(OpenVpnWayInTest, AnAuthorityThatCannotBeKeptIsNotUsed) {
  tests::MemoryStore full;
  full.fail_next();
  EXPECT_EQ(gateway_identity(full, clock_.wall_now()).error().code, "disk_full");
  EXPECT_FALSE(full.load_openvpn_identity().value());
}

TEST_F(OpenVpnWayInTest, TheDaemonsConfigurationIsCompleteAndPushesNoCompression) {
  const auto text = way_in_->server_configuration();
  for (const auto* line :
       {"proto udp6\n", "port 1194\n", "management-client-auth\n", "management-hold\n", "ifconfig 10.77.0.1 255.255.0.0\n",
        "max-clients 65000\n", "multihome\n", "disable-dco\n", "duplicate-cn\n", "script-security 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("comp-lzo")));
}

}  // namespace
}  // namespace drpf::tunnel::openvpn
