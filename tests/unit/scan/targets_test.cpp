// Targets as people write them, and sets of addresses.
#include "scan/ask/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace drpf::scan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> ranges(std::string_view text) {
  const auto target = parse_target(text);
  EXPECT_TRUE(target) << text << ": " << (target ? "" : target.error().message);
  std::vector<std::string> out;
  if (target)
    for (const auto& range : target->ranges) out.push_back(to_string(range));
  return out;
}

std::string refusal_of(std::string_view text) {
  const auto target = parse_target(text);
  EXPECT_FALSE(target) << text;
  return target ? "" : target.error().message;
}

TEST(Targets, AreAddressesPrefixesAndRanges) {
  EXPECT_THAT(ranges("10.0.0.1"), ElementsAre("10.0.0.1"));
  EXPECT_THAT(ranges("10.0.0.0/24"), ElementsAre("10.0.0.0/24"));
  EXPECT_THAT(ranges("10.0.0.77/24"), ElementsAre("10.0.0.0/24"));
  EXPECT_THAT(ranges("10.0.0.1-20"), ElementsAre("10.0.0.1-10.0.0.20"));
  EXPECT_THAT(ranges("10.0.0.250-10.0.1.5"), ElementsAre("10.0.0.250-10.0.1.5"));
  EXPECT_THAT(ranges("10.0.0-1.1-2"), ElementsAre("10.0.0.1-10.0.0.2", "10.0.1.1-10.0.1.2"));
  EXPECT_THAT(ranges("10.0.0-1.0-255"), ElementsAre("10.0.0.0/23"));
  EXPECT_THAT(ranges("10.0.3.*"), ElementsAre("10.0.3.0/24"));
  EXPECT_THAT(ranges("0-255.0-255.0-255.0-255"), ElementsAre("0.0.0.0/0"));
  EXPECT_THAT(ranges("fd00::1"), ElementsAre("fd00::1"));
  EXPECT_THAT(ranges("fd00::/120"), ElementsAre("fd00::/120"));
  EXPECT_THAT(ranges("fd00::1-ff"), ElementsAre("fd00::1-fd00::ff"));
  EXPECT_THAT(ranges("fd00::1-fd00::2:0"), ElementsAre("fd00::1-fd00::2:0"));
}

TEST(Targets, AreNamesWhereTheyHaveLetters) {
  for (const auto* name : {"localhost", "nas.home.arpa", "a-b.example", "host_1", "example.org.", "3com.example"}) {
    const auto target = parse_target(name);
    ASSERT_TRUE(target) << name;
    EXPECT_TRUE(target->is_name()) << name;
  }
}

TEST(Targets, OfALinkNameTheirInterface) {
  const auto target = parse_target("fe80::1%eth0");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->interface, "eth0");
  EXPECT_EQ(to_string(target->ranges.front()), "fe80::1");
}

TEST(Targets, ThatMakeNoSenseAreRefusedWithTheReason) {
  EXPECT_THAT(refusal_of(""), HasSubstr("is empty"));
  EXPECT_THAT(refusal_of("10.0.0"), HasSubstr("four numbers"));
  EXPECT_THAT(refusal_of("10.0.0.256"), HasSubstr("'256'"));
  EXPECT_THAT(refusal_of("10.0.0.20-10"), HasSubstr("runs backwards"));
  EXPECT_THAT(refusal_of("10.0.1.0-10.0.0.0"), HasSubstr("runs backwards"));
  EXPECT_THAT(refusal_of("10.0.0.0/33"), HasSubstr("no prefix"));
  EXPECT_THAT(refusal_of("fd00::ff-1"), HasSubstr("runs backwards"));
  EXPECT_THAT(refusal_of("fd00::1-10.0.0.1"), HasSubstr("ends with no address"));
  EXPECT_THAT(refusal_of("fe80::1%"), HasSubstr("no interface"));
  // What one program reads as 8 is 10 to another, and a number is no name however it is written.
  for (const auto* octal : {"010.0.0.1", "10.0.0.010", "10.0.0.01-20", "10.0.0.1-020", "010.0.0.0/24", "10.00.0.1", "10.0.0.1-010.0.0.9"})
    EXPECT_THAT(refusal_of(octal), HasSubstr("octal")) << octal;
  EXPECT_EQ(parse_target("10.0.0.0")->ranges.size(), 1U);
  for (const auto* number : {"0x7f.1", "0x0a000001", "a.1", "0X7f000001"}) EXPECT_THAT(refusal_of(number), HasSubstr("neither")) << number;
  EXPECT_THAT(refusal_of("-host"), HasSubstr("neither"));
  EXPECT_THAT(refusal_of("a..b"), HasSubstr("neither"));
  EXPECT_THAT(refusal_of("0-255.0-255.0-255.1"), HasSubstr("more than 65536 ranges"));
  EXPECT_THAT(refusal_of(std::string(400, '1')), HasSubstr("longer"));
}

TEST(Targets, StandInFilesWithRemarks) {
  const auto targets = parse_target_list("10.0.0.1, 10.0.0.2 # the old ones\n\n  nas.home.arpa\r\n# fd00::1\n");
  ASSERT_TRUE(targets);
  ASSERT_EQ(targets->size(), 3U);
  EXPECT_EQ((*targets)[2].text, "nas.home.arpa");
  const auto wrong = parse_target_list("10.0.0.1\n10.0.0.400\n");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("line 2: "));
}

TEST(Targets, AreReadAsEditorsAndShellsSaveThem) {
  const auto texts = [](std::string_view bytes) {
    std::string all;
    const auto targets = parse_target_list(bytes);
    EXPECT_TRUE(targets) << (targets ? "" : targets.error().message);
    for (const auto& one : targets.value_or(std::vector<Target>{})) all += one.text + " ";
    return all;
  };
  using namespace std::string_view_literals;
  EXPECT_EQ(texts("\xEF\xBB\xBF"
                  "10.0.0.1\r\n10.0.0.2\r\n"sv),
            "10.0.0.1 10.0.0.2 ");
  EXPECT_EQ(texts("\xFF\xFE"
                  "1\0"
                  ".\0"
                  "1\0"
                  ".\0"
                  "1\0"
                  ".\0"
                  "1\0"
                  "\n\0"
                  "#\0"
                  "\x42\x26"sv),
            "1.1.1.1 ");
  EXPECT_EQ(texts("\xFE\xFF"
                  "\0"
                  "n\0"
                  "a\0"
                  "s"sv),
            "nas ");
}

TEST(AddressRanges, AreCountedAndNeverOverflow) {
  EXPECT_EQ(range_of(*parse_prefix("10.0.0.0/8")).size(), 1U << 24);
  EXPECT_EQ(range_of(*parse_prefix("fd00::/120")).size(), 256U);
  EXPECT_EQ(range_of(*parse_prefix("::/0")).size(), ~std::uint64_t{0});
  EXPECT_EQ(range_of(*parse_prefix("fd00::/64")).size(), ~std::uint64_t{0});
  EXPECT_FALSE(next(*parse_address("255.255.255.255")));
  EXPECT_FALSE(previous(*parse_address("::")));
  EXPECT_EQ(*next(*parse_address("10.0.255.255")), *parse_address("10.1.0.0"));
}

TEST(AddressSets, KeepTheFamiliesApart) {
  AddressSet set;
  set.add(range_of(*parse_prefix("::/128")));
  set.add(range_of(*parse_prefix("255.255.255.255/32")));
  EXPECT_EQ(set.ranges().size(), 2U);
  EXPECT_TRUE(set.ranges().front().first.is_v4());
}

// The set against the plainest model there is, in one /24.
RC_GTEST_PROP(AddressSets, AreWhatASetOfNumbersIs, ()) {
  const auto address = [](int number) { return Address::v4(0x0a000000U + static_cast<unsigned>(number)); };
  AddressSet set;
  std::set<int> model;
  const auto steps = *rc::gen::container<std::vector<std::tuple<bool, int, int>>>(
      rc::gen::tuple(rc::gen::arbitrary<bool>(), rc::gen::inRange(0, 256), rc::gen::inRange(0, 256)));
  for (const auto& [add, a, b] : steps) {
    const AddressRange range{address(std::min(a, b)), address(std::max(a, b))};
    add ? set.add(range) : set.remove(range);
    for (int i = std::min(a, b); i <= std::max(a, b); ++i) add ? (void)model.insert(i) : (void)model.erase(i);
  }
  std::vector<Address> expected;
  for (const auto number : model) expected.push_back(address(number));
  RC_ASSERT(set.addresses() == expected);
  RC_ASSERT(set.size() == expected.size());
  for (std::size_t i = 1; i < set.ranges().size(); ++i) RC_ASSERT(*next(set.ranges()[i - 1].last) < set.ranges()[i].first);
}

}  // namespace
}  // namespace drpf::scan
