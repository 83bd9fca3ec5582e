// Reports of a scan in each form: golden texts, and forms that stay whole with hostile bytes in them.
#include "scan/tell/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/src.hpp>  // this program links no Boost
#include <pugixml.hpp>

#include "scan/tell/report_forms.h"

namespace drpf::scan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
namespace json = boost::json;

constexpr WallTime started{std::chrono::seconds(1'772'366'400)};  // 2026-03-01T12:00:00Z
using namespace std::string_view_literals;
constexpr std::string_view hostile = "SSH-2.0-x\r\n\x1b[2J\"<&>--\x00\xff,/'"sv;

Verdict verdict(State state, Cause cause) {
  Verdict out;
  out.state = state;
  out.cause = cause;
  out.probes = 3;
  return out;
}

Verdict answered(State state, Cause cause, std::uint8_t ttl) {
  auto out = verdict(state, cause);
  out.probes = 1;
  out.ttl = ttl;
  out.rtt = std::chrono::microseconds(123);
  return out;
}

HostReport one_host() {
  HostReport host;
  host.address = *parse_address("10.0.0.1");
  host.name = "nas.home.arpa";
  host.status = HostStatus::up;
  host.status_reason = "syn-ack";
  PassReport pass;
  pass.kind = Kind::syn;
  pass.ports.push_back({22, answered(State::open, Cause::syn_ack, 64), "ssh", std::nullopt, ""});
  auto prohibited = answered(State::filtered, Cause::admin_prohibited, 63);
  prohibited.sender = *parse_address("10.0.0.254");
  pass.ports.push_back({80, prohibited, "http", std::nullopt, ""});
  for (std::uint16_t number = 1000; number < 1030; ++number)
    pass.ports.push_back({number, verdict(State::filtered, Cause::no_response), "", std::nullopt, ""});
  host.passes.push_back(std::move(pass));
  return host;
}

ReportHead head() {
  return {.version = "1.0",
          .command = "drpf scan nas.home.arpa -- <x>",
          .started = started,
          .passes = {{Kind::syn, {22, 80, 1000}}},
          .targets = 1,
          .forced = false};
}

ReportTail tail() {
  ReportTail out;
  out.finished = started + std::chrono::seconds(2);
  out.elapsed = std::chrono::milliseconds(1500);
  out.hosts_up = 1;
  out.tally.probes = 92;
  out.tally.answers = 2;
  out.tally.decided = 32;
  out.tally.rate = 61.3;
  out.tally.loss = 0.05;
  out.tally.loss_measured_by = "37 canaries";
  out.tally.miss_probability = 0.000125;
  return out;
}

std::string whole(Format format, const HostReport& host, const ReportTail& end, const ReportOptions& options = {}) {
  const auto report = make_report(format, options);
  auto text = report->begin(head());
  text += report->host(host);
  return text += report->end(end);
}

TEST(Table, IsTheOneThatPeopleKnow) {
  EXPECT_EQ(whole(Format::table, one_host(), tail()),
            "Scan of nas.home.arpa (10.0.0.1)\n"
            "Not shown: 30 filtered (no-response)\n"
            "PORT    STATE     SERVICE  REASON\n"
            "22/tcp  open      ssh      syn-ack\n"
            "80/tcp  filtered  http     admin-prohibited from 10.0.0.254\n"
            "\n"
            "92 probes sent, 2 answers (0 strays), 0 lost in this machine's ring, 0 send errors; 1.50 s, 61 packets/s.\n"
            "loss of a probe or its answer: 5.0 %, measured by 37 canaries.\n"
            "an open port would have been missed with a probability below 0.00013.\n"
            "32 ports decided, 0 undecided.\n");
}

TEST(Table, ShowsFactsAllPortsOrOpenOnesOnly) {
  EXPECT_THAT(whole(Format::table, one_host(), tail(), {.facts = true}),
              AllOf(HasSubstr("SENDER      TTL  RTT       PROBES\n"), HasSubstr("10.0.0.254  63   0.123 ms  1\n")));
  EXPECT_THAT(whole(Format::table, one_host(), tail(), {.all = true}), AllOf(HasSubstr("1029/tcp"), Not(HasSubstr("Not shown"))));
  EXPECT_THAT(whole(Format::table, one_host(), tail(), {.open_only = true}),
              AllOf(HasSubstr("22/tcp"), Not(HasSubstr("80/tcp")), Not(HasSubstr("Not shown"))));
}

TEST(Table, SaysWhatIsUndecidedAndThatTheScanWasInterrupted) {
  auto end = tail();
  end.tally.undecided = 3;
  end.tally.interrupted = true;
  end.tally.loss.reset();
  end.tally.loss_measured_by.clear();
  end.undecided = {"10.0.0.1: 80-82 of tcp"};
  end.warnings = {"12 answers were lost on this machine"};
  end.hosts_not_begun = 4;
  const auto text = whole(Format::table, one_host(), end);
  for (const auto* part :
       {"Undecided: 10.0.0.1: 80-82 of tcp\n", "was interrupted", "Warning: 12 answers", "4 hosts were not begun", "nothing answered"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(text, Not(HasSubstr("probability")));
}

TEST(Json, IsAnArrayOfHostsWithEveryProbedPort) {
  const auto hosts = json::parse(whole(Format::json, one_host(), tail())).as_array();
  ASSERT_EQ(hosts.size(), 1U);
  EXPECT_EQ(hosts[0].at("address").as_string(), "10.0.0.1");
  EXPECT_EQ(hosts[0].at("name").as_string(), "nas.home.arpa");
  EXPECT_EQ(hosts[0].at("status").as_string(), "up");
  const auto& ports = hosts[0].at("ports").as_array();
  ASSERT_EQ(ports.size(), 32U);
  EXPECT_EQ(
      json::serialize(ports[1]),
      R"({"port":80,"protocol":"tcp","state":"filtered","reason":"admin-prohibited","service":"http","sender":"10.0.0.254","ttl":63,"rtt_ms":1.23E-1,"probes":1})");
  EXPECT_TRUE(ports[2].at("service").is_null());
}

TEST(Json, IsWholeWithoutAnyHost) {
  const auto report = make_report(Format::json, {});
  auto text = report->begin(head());
  text += report->end(tail());
  EXPECT_TRUE(json::parse(text).as_array().empty());
}

TEST(JsonLines, EndWithASummary) {
  const auto text = whole(Format::json_lines, one_host(), tail());
  const auto break_at = text.find('\n');
  EXPECT_EQ(json::parse(text.substr(0, break_at)).at("ports").as_array().size(), 32U);
  const auto summary = json::parse(text.substr(break_at + 1)).at("summary");
  EXPECT_EQ(summary.at("probes").as_int64(), 92);
  EXPECT_EQ(summary.at("loss").to_number<double>(), 0.05);
  EXPECT_FALSE(summary.at("interrupted").as_bool());
}

TEST(Xml, IsTheWidespreadDialect) {
  pugi::xml_document document;
  const auto text = whole(Format::xml, one_host(), tail());
  ASSERT_TRUE(document.load_string(text.c_str())) << text;
  const auto run = document.child("nmaprun");
  EXPECT_STREQ(run.attribute("scanner").value(), "drpf");
  EXPECT_STREQ(run.attribute("args").value(), "drpf scan nas.home.arpa -- <x>");
  EXPECT_STREQ(run.child("scaninfo").attribute("services").value(), "22,80,1000");
  const auto host = run.child("host");
  EXPECT_STREQ(host.child("status").attribute("state").value(), "up");
  EXPECT_STREQ(host.child("address").attribute("addr").value(), "10.0.0.1");
  const auto ports = host.child("ports");
  EXPECT_STREQ(ports.child("extraports").attribute("count").value(), "30");
  EXPECT_STREQ(ports.child("extraports").child("extrareasons").attribute("reason").value(), "no-response");
  const auto second = ports.find_child_by_attribute("port", "portid", "80");
  EXPECT_STREQ(second.child("state").attribute("state").value(), "filtered");
  EXPECT_STREQ(second.child("state").attribute("reason").value(), "admin-prohibited");
  EXPECT_STREQ(second.child("state").attribute("reason_ttl").value(), "63");
  EXPECT_STREQ(second.child("state").attribute("reason_ip").value(), "10.0.0.254");
  EXPECT_STREQ(second.child("service").attribute("name").value(), "http");
  EXPECT_STREQ(run.child("runstats").child("finished").attribute("exit").value(), "success");
  auto end = tail();
  end.tally.interrupted = true;
  document.load_string(whole(Format::xml, one_host(), end).c_str());
  EXPECT_STREQ(document.child("nmaprun").child("runstats").child("finished").attribute("exit").value(), "interrupted");
}

TEST(Grepable, HasAHostToALine) {
  const auto text = whole(Format::grepable, one_host(), tail());
  EXPECT_THAT(
      text,
      StartsWith("# drpf 1.0 scan begun 2026-03-01T12:00:00Z as: drpf scan nas.home.arpa -- <x>\n"
                 "Host: 10.0.0.1 (nas.home.arpa)\tStatus: Up\tReason: syn-ack\n"
                 "Host: 10.0.0.1 (nas.home.arpa)\tPorts: 22/open/tcp//ssh///, 80/filtered/tcp//http///\tIgnored State: filtered (30)\n"));
  EXPECT_THAT(text, HasSubstr("# drpf scan done 2026-03-01T12:00:02Z: 1 addresses (1 up) in 1.50 s\n"));
}

// A host whose ports were not asked: that it is up, why, and its hardware address; a link-local address with its interface.
TEST(Reports, TellWhoIsThereInEveryForm) {
  HostReport host;
  host.address = *parse_address("fe80::7");
  host.zone = "eth0";
  host.hardware = "52:54:00:12:34:56";
  host.status = HostStatus::up;
  host.status_reason = up_by_neighbour_discovery;
  for (const auto format : {Format::table, Format::json, Format::json_lines, Format::xml, Format::grepable, Format::csv})
    EXPECT_THAT(whole(format, host, tail()),
                AllOf(HasSubstr("fe80::7%eth0"), HasSubstr("52:54:00:12:34:56"), HasSubstr("nd-response"), HasSubstr("p")))
        << to_string(format);
  EXPECT_THAT(whole(Format::table, host, tail()),
              StartsWith("Scan of fe80::7%eth0\nHost is up: nd-response\nHardware address: 52:54:00:12:34:56\n"));
  EXPECT_THAT(whole(Format::csv, host, tail()), HasSubstr("\r\nfe80::7%eth0,,,,up,nd-response,,,,,,,,,,52:54:00:12:34:56\r\n"));
  pugi::xml_document document;
  ASSERT_TRUE(document.load_string(whole(Format::xml, host, tail()).c_str()));
  EXPECT_STREQ(document.child("nmaprun").child("host").find_child_by_attribute("address", "addrtype", "mac").attribute("addr").value(),
               "52:54:00:12:34:56");
}

TEST(Csv, HasAPortToARow) {
  const auto text = whole(Format::csv, one_host(), tail());
  EXPECT_THAT(text, HasSubstr("\r\n10.0.0.1,nas.home.arpa,tcp,80,filtered,admin-prohibited,http,10.0.0.254,63,0.123,1,,,,,\r\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 33);
}

// What a stranger's service says is any bytes.
TEST(Reports, StayWholeWhateverAServiceSays) {
  auto host = one_host();
  host.passes[0].ports[0].banner = std::string(hostile);
  host.passes[0].ports[0].verdict.note = std::string(hostile);
  host.notes = {std::string(hostile)};
  for (const auto format : {Format::table, Format::json, Format::json_lines, Format::xml, Format::grepable, Format::csv}) {
    const auto text = whole(format, host, tail());
    for (const auto c : text) {
      const auto byte = static_cast<unsigned char>(c);
      EXPECT_TRUE((byte >= 0x20 && byte < 0x7f) || c == '\n' || c == '\r' || c == '\t') << to_string(format);
    }
  }
  const auto port = json::parse(whole(Format::json, host, tail())).as_array()[0].at("ports").as_array()[0];
  EXPECT_THAT(std::string(port.at("banner").as_string()), StartsWith("SSH-2.0-x\r\n\x1b[2J\"<&>--"));
  pugi::xml_document document;
  ASSERT_TRUE(document.load_string(whole(Format::xml, host, tail()).c_str()));
  EXPECT_THAT(document.child("nmaprun").child("host").child("ports").child("port").child("script").attribute("output").value(),
              StartsWith("SSH-2.0-x\\r\\n\\x1b[2J\"<&>--"));
  EXPECT_THAT(whole(Format::csv, host, tail()), HasSubstr("\"SSH-2.0-x\\r\\n\\x1b[2J\"\"<&>--"));
  // The divider of the fields of a port is none of its text.
  EXPECT_THAT(whole(Format::grepable, host, tail()), HasSubstr("\\xff;|'/, 80/"));
}

TEST(Findings, AreSentencesAboutAWholeHost) {
  auto host = one_host();
  EXPECT_THAT(findings(host), testing::IsEmpty());
  host.passes[0].kind = Kind::window;
  EXPECT_THAT(findings(host), testing::ElementsAre(HasSubstr("nothing about Linux")));
  host.passes[0].kind = Kind::syn;
  for (auto& port : host.passes[0].ports) port.verdict = answered(State::open, Cause::syn_ack, 64);
  EXPECT_THAT(findings(host), testing::ElementsAre(HasSubstr("tarpit")));
  host.status = HostStatus::unknown;
  for (auto& port : host.passes[0].ports) port.verdict = verdict(State::filtered, Cause::no_response);
  EXPECT_THAT(findings(host), testing::ElementsAre(HasSubstr("nothing answered")));
  host.status = HostStatus::up;
  host.status_reason = up_by_arp;
  EXPECT_THAT(findings(host), testing::ElementsAre(HasSubstr("nothing answered but ARP: the host is there")));
}

TEST(Findings, NameADeviceThatAnswersForTheHost) {
  HostReport host;
  host.address = *parse_address("10.0.0.1");
  host.passes.push_back({Kind::syn, {}});
  for (std::uint16_t number = 1; number <= 5; ++number)
    host.passes[0].ports.push_back({number, answered(State::closed, Cause::reset, number == 3 ? 64 : 63), "", std::nullopt, ""});
  note_odd_ttls(host);
  EXPECT_THAT(host.passes[0].ports[2].verdict.note, HasSubstr("a device nearer than the host (TTL 64, the host's is 63)"));
  EXPECT_EQ(host.passes[0].ports[0].verdict.note, "");
}

}  // namespace
}  // namespace drpf::scan
