// Resume files and the table of verdicts: what goes in comes out, and damage is told.
#include "scan/tell/resume_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scan/service_guess.h"
#include "scan/verdict_table.h"

namespace drpf::scan {
namespace {

using testing::HasSubstr;

Verdict full_verdict() {
  Verdict verdict;
  verdict.state = State::filtered;
  verdict.cause = Cause::other_unreach;
  verdict.sender = *parse_address("fd00::9");
  verdict.ttl = 61;
  verdict.rtt = std::chrono::microseconds(1234);
  verdict.probes = 7;
  verdict.detail = 12;
  verdict.note = "50 % of it, from port 7\n";
  return verdict;
}

ResumeFile example() {
  ResumeFile file;
  file.seed = 0xfedcba9876543210;
  file.words = {"10.0.0.0/30", "--ports=22, 80", "", "-", "100%", "\x01\xff"};
  file.targets = 4;
  file.targets_hash = 77;
  file.passes = {{Kind::syn, 1000, 5}, {Kind::udp, 2, 6}};
  file.hosts = {{0, HostStatus::up, "reset"}, {3, HostStatus::down, ""}};
  file.entries = {{0, 0, 0, 999, full_verdict()}, {1, 2, 1, 1, {.state = State::open_filtered, .cause = Cause::no_response, .probes = 3}}};
  return file;
}

TEST(ResumeFiles, SayWhatTheyWereTold) {
  const auto text = resume_text(example());
  const auto back = parse_resume_file(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(resume_text(*back), text);
  EXPECT_EQ(back->words, example().words);
  EXPECT_EQ(back->seed, example().seed);
  EXPECT_EQ(back->passes, example().passes);
  const auto& verdict = back->entries[0].verdict;
  EXPECT_EQ(reason_text(verdict), reason_text(full_verdict()));
  EXPECT_EQ(verdict.note, full_verdict().note);
  EXPECT_EQ(verdict.rtt, full_verdict().rtt);
  EXPECT_EQ(verdict.ttl, full_verdict().ttl);
}

TEST(ResumeFiles, ThatAreDamagedAreToldSo) {
  const auto text = resume_text(example());
  // Cut anywhere.
  for (std::size_t size = 0; size + 1 < text.size(); ++size) EXPECT_FALSE(parse_resume_file(text.substr(0, size))) << size;
  // Any byte changed.
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto parsed = parse_resume_file(changed);
    ASSERT_FALSE(parsed) << at;
    EXPECT_EQ(parsed.error().code, "resume_damaged");
  }
  EXPECT_THAT(parse_resume_file(text + "x").error().message, HasSubstr("behind its end"));
  EXPECT_THAT(parse_resume_file("{}").error().message, HasSubstr("no resume file"));
  EXPECT_THAT(parse_resume_file("drpf-scan-resume 2\n").error().message, HasSubstr("version 2"));
}

// Whoever can compute the check sum: indices stay within what the file says.
TEST(ResumeFiles, HaveNoIndicesBeyondTheirOwnNumbers) {
  const auto refused = [](auto change) {
    auto file = example();
    change(file);
    return !parse_resume_file(resume_text(file));
  };
  EXPECT_TRUE(refused([](auto& file) { file.entries[0].last = 1000; }));
  EXPECT_TRUE(refused([](auto& file) { file.entries[0].first = 1000; }));
  EXPECT_TRUE(refused([](auto& file) { file.entries[0].pass = 2; }));
  EXPECT_TRUE(refused([](auto& file) { file.entries[0].target = 4; }));
  EXPECT_TRUE(refused([](auto& file) { file.hosts[0].target = 4; }));
  EXPECT_TRUE(refused([](auto& file) { file.passes[0].count = 65'537; }));
  EXPECT_TRUE(refused([](auto& file) { file.entries[0].verdict.state = State::undecided; }));
}

TEST(VerdictTables, GiveBackWhatTheyWereGiven) {
  VerdictTable table(2, 3);
  EXPECT_FALSE(table.begun(1));
  EXPECT_EQ(table.at(1, 2).state, State::undecided);
  table.set(1, 2, full_verdict());
  EXPECT_TRUE(table.begun(1));
  EXPECT_FALSE(table.begun(0));
  const auto back = table.at(1, 2);
  EXPECT_EQ(reason_text(back), reason_text(full_verdict()));
  EXPECT_EQ(back.rtt, full_verdict().rtt);
  EXPECT_EQ(back.note, full_verdict().note);
  table.forget(1);
  EXPECT_FALSE(table.begun(1));
}

TEST(VerdictTables, KeepMoreSendersThanTheirIndicesCount) {
  VerdictTable table(1, 65'536);
  for (std::uint32_t i = 0; i < 65'536; ++i) {
    Verdict verdict;
    verdict.state = State::filtered;
    verdict.sender = Address::v4(0x0a000000 + i);
    table.set(0, i, verdict);
  }
  for (std::uint32_t i = 0; i < 65'536; ++i) ASSERT_EQ(table.at(0, i).sender, Address::v4(0x0a000000 + i));
}

TEST(ServiceGuesses, KnowGreetings) {
  using namespace std::string_view_literals;
  EXPECT_EQ(guess_service("SSH-2.0-OpenSSH_9.2p1\r\n"), "ssh");
  EXPECT_EQ(guess_service("220 mail.example ESMTP ready\r\n"), "smtp");
  EXPECT_EQ(guess_service("220 ProFTPD Server\r\n"), "ftp");
  EXPECT_EQ(guess_service("220 hello\r\n"), "");
  EXPECT_EQ(guess_service("+OK ready\r\n"), "pop3");
  EXPECT_EQ(guess_service("* OK [CAPABILITY IMAP4rev1]\r\n"), "imap");
  EXPECT_EQ(guess_service("HTTP/1.0 400 Bad Request\r\n"), "http");
  EXPECT_EQ(guess_service("RFB 003.008\n"), "vnc");
  EXPECT_EQ(guess_service("\xff\xfd\x18"), "telnet");
  EXPECT_EQ(guess_service("\x4a\x00\x00\x00\x0a"
                          "8.0.36\x00"sv),
            "mysql");
  EXPECT_EQ(guess_service(""), "");
}

}  // namespace
}  // namespace drpf::scan
