// The commands against a gateway's API over a real socket; the gateway behind it is a fake with a real lease book.
#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "api/admin_api.h"
#include "net/http_server.h"
#include "support/fake_service.h"
#include "support/loop_thread.h"
#include "support/run_command.h"
#include "support/temporary_folder.h"

namespace drpf::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using test::drpf;

class Commands : public testing::Test {
 protected:
  Commands() {
    auto server = net::HttpServer::listen_unix(
        loop_, path_, [this](const net::Request& request, const net::Respond& respond) { api_.handle(request, respond); });
    EXPECT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    ::setenv("DRPF_SOCKET", path_.c_str(), 1);
    thread_.emplace(loop_);
  }
  ~Commands() override {
    thread_->call([this] { server_.reset(); });
    ::unsetenv("DRPF_SOCKET");
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "drpf.sock";
  test::FakeService service_;
  api::AdminApi api_{service_};
  net::EventLoop loop_;
  std::unique_ptr<net::HttpServer> server_;
  std::optional<test::LoopThread> thread_;
};

TEST_F(Commands, AccountsFromTheirFirstDayToTheirLast) {
  EXPECT_EQ(drpf({"account", "add", "ann"}).out, "account ann added, plan personal\n");
  EXPECT_EQ(drpf({"account", "add", "bob", "--plan", "business"}).code, 0);
  EXPECT_EQ(drpf({"account", "list"}).out,
            "ACCOUNT  PLAN      STATE   DEVICES  PORTS  OF\n"
            "ann      personal  active        0      0   5\n"
            "bob      business  active        0      0  15\n");
  EXPECT_EQ(boost::json::parse(drpf({"account", "list", "--json"}).out).as_array().size(), 2U);
  EXPECT_THAT(drpf({"account", "set", "ann", "--suspend"}).out, HasSubstr("state    suspended"));
  EXPECT_THAT(drpf({"account", "show", "ann"}).out, HasSubstr("state    suspended"));
  EXPECT_THAT(drpf({"account", "set", "ann", "--resume", "--plan", "business"}).out, AllOf(HasSubstr("active"), HasSubstr("business")));
  EXPECT_EQ(drpf({"account", "remove", "ann"}).code, 0);
  const auto gone = drpf({"account", "show", "ann"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_EQ(gone.out, "");
  EXPECT_EQ(gone.err, "drpf: there is no account 'ann'\n  cure: see `drpf account list` for the names\n");
}

TEST_F(Commands, DeviceAddPrintsTheConfigurationAndNothingElse) {
  drpf({"account", "add", "ann"});
  const auto added = drpf({"device", "add", "ann", "nas", "--endpoint", "vpn.example.org"});
  EXPECT_EQ(added.code, 0);
  EXPECT_EQ(added.out, "[Interface]\n# nas\n[Peer]\nEndpoint = vpn.example.org\n");
  EXPECT_THAT(added.err, HasSubstr("device nas added to account ann, tunnel address 10.77.0.2"));
  EXPECT_EQ(drpf({"device", "config", "nas", "--inbound-only"}).out,
            "[Interface]\n# nas inbound-only\n[Peer]\nEndpoint = 198.51.100.1:51820\n");
  const auto json = boost::json::parse(drpf({"device", "add", "ann", "tv", "--json"}).out);
  EXPECT_EQ(json.at("device").at("name"), "tv");
  EXPECT_THAT(std::string(json.at("config").as_string()), StartsWith("[Interface]"));
  EXPECT_THAT(drpf({"device", "list"}).out, AllOf(HasSubstr("DEVICE  ACCOUNT"), HasSubstr("tv      ann")));
  EXPECT_THAT(drpf({"device", "show", "nas"}).out, HasSubstr("tunnel (IPv6)   fd77::2"));
  EXPECT_EQ(drpf({"device", "remove", "nas"}).out, "device nas removed; its ports are closed\n");
}

TEST_F(Commands, DeviceAddWritesAFileThatOnlyItsOwnerReads) {
  drpf({"account", "add", "ann"});
  const auto file = folder_ / "nas.conf";
  const auto added = drpf({"device", "add", "ann", "nas", "--out", file});
  EXPECT_EQ(added.code, 0);
  EXPECT_EQ(added.out, "");
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_THAT(text.str(), StartsWith("[Interface]\n# nas\n"));
}

TEST_F(Commands, DeviceAddDoesNothingWhenItsFileCannotBe) {
  drpf({"account", "add", "ann"});
  std::ofstream(folder_ / "there.conf") << "precious";
  const auto refused = drpf({"device", "add", "ann", "nas", "--out", folder_ / "there.conf"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("remove the file, or name another"));
  EXPECT_EQ(drpf({"device", "list", "--json"}).out, "[]\n");
  // And the other way round: a device that cannot be leaves no file.
  EXPECT_EQ(drpf({"device", "add", "moon", "nas", "--out", folder_ / "new.conf"}).code, 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new.conf"));
}

TEST_F(Commands, AQrCodeIsOfBlocksAndHasAQuietZone) {
  drpf({"account", "add", "ann"});
  const auto code = drpf({"device", "add", "ann", "phone", "--qr"});
  EXPECT_EQ(code.code, 0);
  std::istringstream lines(code.out);
  std::string first;
  std::getline(lines, first);
  std::string light;
  for (std::size_t i = 0; i < first.size() / 3; ++i) light += "\u2588";
  EXPECT_EQ(first, light);
  EXPECT_THAT(code.out, Not(HasSubstr("Interface")));
}

TEST_F(Commands, LeasesAreAddedLedElsewhereAndEnded) {
  drpf({"account", "add", "ann"});
  drpf({"device", "add", "ann", "nas"});
  const auto added = drpf({"lease", "add", "nas", "20005/tcp", "--local", "110"});
  EXPECT_EQ(added.code, 0);
  EXPECT_EQ(added.out,
            "Public addresses: 198.51.100.1 and 2001:db8::1\n\n"
            "PORTS  PROTOCOL  DEVICE  LEADS TO       SERVICE  ACCOUNT  KIND   STATE\n"
            "20005  tcp       nas     10.77.0.2:110  pop3     ann      fixed  held\n");
  EXPECT_THAT(drpf({"lease", "list", "--all"}).out, AllOf(HasSubstr("198.51.100.1:20005   tcp       nas     10.77.0.2:110  pop3"),
                                                          HasSubstr("[2001:db8::1]:20005  tcp       nas     [fd77::2]:110")));
  const auto list = boost::json::parse(drpf({"lease", "list", "--json"}).out);
  for (const auto* member : {"account", "device", "protocol", "public_address", "public_port", "local_address", "local_port", "service",
                             "kind", "state", "expires_at"})
    EXPECT_TRUE(list.at(0).as_object().contains(member)) << member;
  EXPECT_THAT(drpf({"lease", "set", "20005", "--local", "995"}).out, HasSubstr("10.77.0.2:995"));
  EXPECT_EQ(drpf({"lease", "remove", "20005/tcp"}).out, "port 20005/tcp is closed\n");
  EXPECT_EQ(drpf({"lease", "list"}).out, "no leases yet: a device gets its ports when it connects\n");
  EXPECT_EQ(boost::json::parse(drpf({"lease", "add", "nas", "any/udp", "--count", "2", "--json"}).out).as_array().size(), 4U);
  // Without a protocol both are meant.
  EXPECT_EQ(boost::json::parse(drpf({"lease", "add", "nas", "20010", "--json"}).out).as_array().size(), 4U);
  EXPECT_EQ(boost::json::parse(drpf({"lease", "set", "20010", "--local", "80", "--json"}).out).as_array().size(), 4U);
  EXPECT_EQ(drpf({"lease", "remove", "20010", "--json"}).out, "null\n");
  EXPECT_EQ(service_.book().lease({"main", Protocol::udp, Port{20010}}), nullptr);
}

TEST_F(Commands, PortsAreGivenAsRunsAndLists) {
  drpf({"account", "add", "ann", "--plan", "business"});
  drpf({"device", "add", "ann", "nas"});
  const auto locals = [&] {
    std::map<std::uint16_t, std::uint16_t> out;
    for (const auto* lease : service_.book().leases()) out[lease->on.port.value()] = lease->local_port.value();
    return out;
  };
  EXPECT_EQ(drpf({"lease", "add", "nas", "20000-20002,20010/tcp", "20015"}).code, 0);
  EXPECT_EQ(locals(),
            (std::map<std::uint16_t, std::uint16_t>{{20000, 20000}, {20001, 20001}, {20002, 20002}, {20010, 20010}, {20015, 20015}}));
  EXPECT_THAT(drpf({"lease", "list"}).out,
              AllOf(HasSubstr("20000-20002  tcp+udp   nas     10.77.0.2:20000-20002"), HasSubstr("20010        tcp "),
                    HasSubstr("20015        tcp+udp"), Not(HasSubstr("20001 "))));
  EXPECT_THAT(drpf({"lease", "list", "--account", "bob"}).out, HasSubstr("no leases"));
  EXPECT_EQ(drpf({"lease", "list", "--device", "nas", "--json"}).out, drpf({"lease", "list", "--json"}).out);
  EXPECT_EQ(drpf({"lease", "set", "20000-20002", "--local", "80"}).code, 0);
  EXPECT_EQ(locals()[20002], 82);
  EXPECT_EQ(drpf({"lease", "remove", "20000-20005,20010/tcp", "20015"}).out, "port 20000-20005, 20010/tcp, 20015 is closed\n");
  EXPECT_TRUE(locals().empty());
  // Arguments may overlap.
  EXPECT_EQ(drpf({"lease", "add", "nas", "20000-20002"}).code, 0);
  EXPECT_EQ(drpf({"lease", "remove", "20000-20002,20001"}).code, 0);
  // One that is refused takes nothing that the device had before.
  EXPECT_EQ(drpf({"lease", "add", "nas", "20003"}).code, 0);
  EXPECT_EQ(drpf({"lease", "add", "nas", "20003,20004,22"}).code, 1);
  EXPECT_EQ(locals(), (std::map<std::uint16_t, std::uint16_t>{{20003, 20003}}));
  EXPECT_EQ(drpf({"lease", "remove", "20003"}).code, 0);
  // And leaves nothing behind.
  EXPECT_EQ(drpf({"lease", "add", "nas", "20006-20008,22"}).code, 1);
  EXPECT_TRUE(locals().empty());
  EXPECT_EQ(drpf({"lease", "add", "nas", "20006-20008", "--count", "2"}).code, 64);
  EXPECT_EQ(drpf({"lease", "add", "nas", "20006,20007", "--local", "80"}).code, 64);
  EXPECT_EQ(drpf({"lease", "remove", "20016-20018"}).code, 1);
}

TEST_F(Commands, ARefusalIsSaidWithItsCure) {
  drpf({"account", "add", "ann"});
  drpf({"device", "add", "ann", "nas"});
  const auto refused = drpf({"lease", "add", "nas", "22"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, AllOf(StartsWith("drpf: "), HasSubstr("22"), HasSubstr("\n  cure: ")));
  EXPECT_EQ(drpf({"lease", "remove", "20000"}).code, 1);
}

TEST_F(Commands, StatusAndCheckShowWhatTheGatewaySays) {
  service_.report.version = "0.1.0";
  service_.report.uptime_s = 3700;
  service_.report.hosts = service_.book().policy().hosts;
  service_.report.warnings = {"an \x1b[31mangry\x1b[0m warning"};
  const auto status = drpf({"status"});
  EXPECT_THAT(status.out, AllOf(HasSubstr("up 1 h 1 min"), HasSubstr("main 198.51.100.1 2001:db8::1")));
  EXPECT_THAT(status.out, AllOf(HasSubstr("angry"), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(drpf({"check"}).code, 0);
  service_.findings = {{api::Finding::Level::problem, "docker", "a rule rewrites our packets", "remove it"}};
  const auto check = drpf({"check"});
  EXPECT_EQ(check.code, 1);
  EXPECT_EQ(check.out, "problem  docker: a rule rewrites our packets\n         cure: remove it\n");
  EXPECT_EQ(boost::json::parse(drpf({"check", "--json"}).out).at(0).at("subject"), "docker");
}

TEST_F(Commands, StatusNamesTheEngineAndOnRequestWhatItHasNotCarried) {
  service_.report.engine = "the kernel's WireGuard";
  service_.report.ways_in = {{"wireguard", "the kernel's WireGuard", "drpf0", 1, {{"rx_errors", 7}}}};
  EXPECT_THAT(drpf({"status"}).out, AllOf(HasSubstr("tunnel   the kernel's WireGuard"), Not(HasSubstr("rx_errors"))));
  EXPECT_THAT(drpf({"status", "--counters"}).out, AllOf(HasSubstr("counters the kernel's WireGuard on drpf0"), HasSubstr("rx_errors")));
}

TEST_F(Commands, ReloadSaysWhatHasChangedOrWhyNothingHas) {
  EXPECT_EQ(drpf({"reload"}).out, "the configuration says what it said: nothing has changed\n");
  service_.reloaded = {{"[ports] pool", "[[plan]]"}, 3};
  const auto taken = drpf({"reload", "--end-leases"});
  EXPECT_EQ(taken.code, 0);
  EXPECT_EQ(taken.out, "changed  [ports] pool\nchanged  [[plan]]\nleases   3 ended; the log names them\n");
  EXPECT_TRUE(service_.reloads.back().end_leases);
  EXPECT_EQ(drpf({"reload", "--json"}).out, "{\"changed\":[\"[ports] pool\",\"[[plan]]\"],\"leases_ended\":3}\n");
  EXPECT_FALSE(service_.reloads.back().end_leases);
  service_.failure = refusal("restart_needed", "a change of the WireGuard port needs a restart of the gateway", "leave it as it was");
  const auto refused = drpf({"reload"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.err, "drpf: a change of the WireGuard port needs a restart of the gateway\n  cure: leave it as it was\n");
  service_.failure = misconfigured("config_unknown_key", "drpf.toml:2:1: unknown key 'pol'", "write pool");
  EXPECT_EQ(drpf({"reload"}).code, 78);
  service_.failure = misconfigured("port_plan_overlap", "the pool and the SNAT range overlap", "move one");
  EXPECT_EQ(drpf({"reload"}).code, 78);
}

TEST_F(Commands, NamesOnTheCommandLineCannotBreakOutOfTheirPath) {
  EXPECT_THAT(drpf({"account", "show", "../devices"}).err, HasSubstr("there is no account '../devices'"));
  EXPECT_THAT(drpf({"account", "show", "a?b#c %zz"}).err, HasSubstr("there is no account 'a?b#c %zz'"));
  EXPECT_THAT(drpf({"account", "show", "\x1b[2J"}).err, HasSubstr(R"(there is no account '\x1b[2J')"));
}

TEST(CommandsWithoutAGateway, SayWhatToDo) {
  const test::TemporaryFolder folder;
  for (const auto& words : std::vector<std::vector<std::string>>{{"status"},
                                                                 {"reload"},
                                                                 {"account", "list"},
                                                                 {"device", "add", "a", "b"},
                                                                 {"lease", "add", "a", "any"},
                                                                 {"lease", "remove", "20000"}}) {
    auto with_socket = words;
    with_socket.insert(with_socket.end(), {"--socket", folder / "drpf.sock"});
    const auto outcome = drpf(with_socket);
    EXPECT_EQ(outcome.code, 69);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("start it with `drpf gateway`, or give --socket PATH"));
  }
}

TEST(CommandsWithoutAGateway, CheckTheConfigurationAllTheSame) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "good.toml") << "[ports]\npool = \"2000-2999\"\n";
  const auto good = drpf({"check", "--config", folder / "good.toml", "--socket", folder / "drpf.sock"});
  EXPECT_THAT(good.out, AllOf(HasSubstr("good     configuration: "), HasSubstr("pool 2000-2999"))) << good.err;
  std::ofstream(folder / "bad.toml") << "[ports]\npol = 1\n";
  const auto bad = drpf({"check", "--config", folder / "bad.toml", "--socket", folder / "drpf.sock"});
  EXPECT_EQ(bad.code, 78);
  EXPECT_THAT(bad.err, HasSubstr("bad.toml:2:1: unknown key 'pol' in [ports]"));
  EXPECT_EQ(drpf({"check", "--config", folder / "absent.toml", "--socket", folder / "drpf.sock"}).code, 78);
}

TEST(CommandLine, AWrongOneIs64AndNamesTheHelp) {
  for (const auto& words : std::vector<std::vector<std::string>>{{},
                                                                 {"acount"},
                                                                 {"account"},
                                                                 {"account", "add"},
                                                                 {"account", "add", "a", "b"},
                                                                 {"account", "list", "--jsno"},
                                                                 {"account", "set", "a"},
                                                                 {"account", "set", "a", "--suspend", "--resume"},
                                                                 {"lease", "add", "nas", "http"},
                                                                 {"lease", "add", "nas", "70000"},
                                                                 {"lease", "add", "nas", "80/sctp"},
                                                                 {"lease", "add", "nas", "any", "--local", "0"},
                                                                 {"lease", "add", "nas", "any", "--count", "0"},
                                                                 {"lease", "set", "20000"},
                                                                 {"lease", "remove", "any"},
                                                                 {"gateway", "--log", "xml"},
                                                                 {"completion", "tcsh"}}) {
    const auto outcome = drpf(words);
    EXPECT_EQ(outcome.code, 64) << testing::PrintToString(words);
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(words);
    EXPECT_FALSE(outcome.err.empty());
  }
}

TEST(CommandLine, EveryCommandHasHelpWithAnExample) {
  for (const auto& words : std::vector<std::vector<std::string>>{{"gateway"},
                                                                 {"account", "add"},
                                                                 {"account", "list"},
                                                                 {"account", "show"},
                                                                 {"account", "set"},
                                                                 {"account", "remove"},
                                                                 {"device", "add"},
                                                                 {"device", "list"},
                                                                 {"device", "show"},
                                                                 {"device", "config"},
                                                                 {"device", "remove"},
                                                                 {"lease", "list"},
                                                                 {"lease", "add"},
                                                                 {"lease", "set"},
                                                                 {"lease", "remove"},
                                                                 {"status"},
                                                                 {"reload"},
                                                                 {"check"},
                                                                 {"connect"},
                                                                 {"completion"},
                                                                 {"firewall"},
                                                                 {"firewall", "allow"},
                                                                 {"firewall", "status"},
                                                                 {"version"},
                                                                 {"ports"}}) {
    auto with_help = words;
    with_help.emplace_back("--help");
    const auto outcome = drpf(with_help);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Example:\n  drpf " + words.front()));
  }
}

TEST(CommandLine, TellsItsVersion) {
  EXPECT_THAT(drpf({"version"}).out, testing::MatchesRegex("drpf [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(drpf({"--version"}).out, drpf({"version"}).out);
  EXPECT_TRUE(boost::json::parse(drpf({"version", "--json"}).out).at("version").is_string());
}

TEST(CommandLine, CompletionKnowsTheTree) {
  const auto bash = drpf({"completion", "bash"}).out;
  EXPECT_THAT(
      bash, AllOf(HasSubstr("\"lease add\") path=\"lease add\""), HasSubstr("--local"), HasSubstr("complete -o filenames -F _drpf drpf")));
  EXPECT_THAT(drpf({"completion", "zsh"}).out, HasSubstr("bashcompinit"));
  EXPECT_THAT(drpf({"completion", "fish"}).out, HasSubstr("__drpf_at lease add"));
}

}  // namespace
}  // namespace drpf::cli
