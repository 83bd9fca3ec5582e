// What the letters that people's fingers know mean on the command line of `drpf scan`.
#include "cli/scan_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::cli {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

std::vector<std::string> translated(const std::vector<std::string>& words) {
  const auto out = translate(words);
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? out->words : std::vector<std::string>{};
}

TEST(ScanWords, AreThoseThatFingersKnow) {
  EXPECT_THAT(translated({"-sS", "-Pn", "-p-", "-oX", "a.xml", "10.0.0.1"}),
              ElementsAre("--syn", "--no-discovery", "--ports=-", "--output=xml:a.xml", "10.0.0.1"));
  EXPECT_THAT(translated({"-sSU", "-p", "T:1-9,U:53"}), ElementsAre("--syn", "--udp", "--ports=T:1-9,U:53"));
  EXPECT_THAT(translated({"-sI", "10.0.0.9:80", "-p22"}), ElementsAre("--idle=10.0.0.9:80", "--ports=22"));
  EXPECT_THAT(translated({"-sT", "-sA", "-sW", "-sF", "-sN", "-sX", "-sM", "-sU", "-sO", "-sV", "-sn"}),
              ElementsAre("--connect", "--ack", "--window", "--fin", "--null", "--xmas", "--maimon", "--udp", "--ip-protocol", "--banner",
                          "--only-discovery"));
  EXPECT_THAT(translated({"-F", "--top-ports", "20", "--top-ports=30", "-iL", "x", "-vv", "-oA", "all"}),
              ElementsAre("--top=100", "--top", "20", "--top=30", "--targets-file", "x", "--verbose", "--output=table:all.nmap",
                          "--output=xml:all.xml", "--output=grepable:all.gnmap"));
  EXPECT_THAT(translated({"--json", "-6", "--", "-sS"}), ElementsAre("--json", "-6", "--", "-sS"));
  EXPECT_THAT(translate({"-T4", "-n"})->remarks, SizeIs(2));
  EXPECT_THAT(
      translated({"-T", "4", "-Taggressive", "-PE", "-PS22,80", "--min-hostgroup", "64", "--max-rtt-timeout=1s", "-PN", "-sP", "a"}),
      ElementsAre("--no-discovery", "--only-discovery", "a"));
}

TEST(ScanWords, OfOthersAreNamedWithOurs) {
  const auto out = translate({"--rate", "100", "--banners", "--adapter-ip=10.0.0.2", "--send-ip"});
  ASSERT_TRUE(out);
  EXPECT_THAT(out->words, ElementsAre("--max-rate", "100", "--banner", "--source=10.0.0.2", "--through-own-rules"));
  EXPECT_THAT(out->remarks, testing::Contains("--rate is called --max-rate here"));
}

TEST(ScanWords, ThatDrpfDoesNotDoAreRefusedWithTheReason) {
  for (const auto& word : {"-D",
                           "-S",
                           "-O",
                           "-A",
                           "-sC",
                           "-iR",
                           "--min-rate",
                           "--min-rate=5",
                           "--script=x",
                           "-sZ",
                           "-oZ",
                           "-p",
                           "-sI",
                           "-g",
                           "--source-port=53",
                           "--host-timeout",
                           "--scan-delay",
                           "-f",
                           "--exclude-ports",
                           "-b",
                           "--ttl",
                           "-sL",
                           "-sY"}) {
    const auto out = translate({word, "-x"});
    if (std::string_view(word) == "-p" || std::string_view(word) == "-sI") {
      EXPECT_FALSE(translate({word})) << word;
    } else {
      ASSERT_FALSE(out) << word;
      EXPECT_FALSE(out.error().cure.empty()) << word;
    }
  }
}

}  // namespace
}  // namespace drpf::cli
