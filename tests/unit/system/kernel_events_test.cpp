#include "system/kernel_events.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include <array>

#include "system/nft_messages.h"

namespace drpf::system {
namespace {

NetlinkWriter committed(std::string_view program) {
  NetlinkWriter writer;
  writer.message(nft_message(NFT_MSG_NEWGEN), 0, 1).header(netfilter_header(0, 7));
  writer.u32_big_endian(NFTA_GEN_ID, 7).u32_big_endian(NFTA_GEN_PROC_PID, 4711).text(NFTA_GEN_PROC_NAME, program);
  return writer;
}

std::optional<RulesetAuthor> author_of(ByteView bytes) {
  NetlinkMessages messages(bytes);
  const auto message = messages.next();
  return message ? parse_ruleset_author(*message) : std::nullopt;
}

TEST(RulesetAuthor, IsWhomTheKernelNames) {
  auto writer = committed("firewalld");
  EXPECT_EQ(author_of(writer.bytes()), (RulesetAuthor{7, 4711, "firewalld"}));
}

TEST(RulesetAuthor, CannotWriteIntoTheLogWhatItLikes) {
  auto writer = committed("x\n'\x1b[31mREADY: all is well, nothing happened");
  const auto author = author_of(writer.bytes());
  ASSERT_TRUE(author);
  EXPECT_EQ(author->program, "x???[31mREADY: ");
  EXPECT_LE(author->program.size(), KernelEvents::program_name_max);
}

TEST(RulesetAuthor, IsNotReadOutOfOtherMessages) {
  NetlinkWriter writer;
  writer.message(nft_message(NFT_MSG_NEWTABLE), 0, 1).header(netfilter_header(1, 7)).u32_big_endian(NFTA_GEN_ID, 7);
  EXPECT_EQ(author_of(writer.bytes()), std::nullopt);
  NetlinkWriter headless;
  headless.message(nft_message(NFT_MSG_NEWGEN), 0, 1);
  EXPECT_EQ(author_of(headless.bytes()), std::nullopt);
}

TEST(RulesetAuthor, MayBeUnnamed) {  // kernels that tell the number alone
  NetlinkWriter writer;
  writer.message(nft_message(NFT_MSG_NEWGEN), 0, 1).header(netfilter_header(0, 7)).u32_big_endian(NFTA_GEN_ID, 9);
  EXPECT_EQ(author_of(writer.bytes()), (RulesetAuthor{9, 0, ""}));
}

bool tells(std::uint16_t type, const rtmsg& header) {
  NetlinkWriter writer;
  writer.message(type, 0, 1).header({reinterpret_cast<const std::uint8_t*>(&header), sizeof header});
  NetlinkMessages messages(writer.bytes());
  return tells_of_network_change(*messages.next());
}

TEST(NetworkChange, IsAnyRouteButThoseThatTheKernelKeepsForItself) {
  rtmsg route{};
  route.rtm_table = RT_TABLE_MAIN;
  EXPECT_TRUE(tells(RTM_NEWROUTE, route));
  EXPECT_TRUE(tells(RTM_DELROUTE, route));
  EXPECT_FALSE(tells(RTM_GETROUTE, route));
  auto cached = route;
  cached.rtm_flags = RTM_F_CLONED;
  EXPECT_FALSE(tells(RTM_NEWROUTE, cached));
  auto local = route;
  local.rtm_table = RT_TABLE_LOCAL;
  EXPECT_FALSE(tells(RTM_DELROUTE, local));
}

TEST(NetworkChange, IsAnyLinkAddressOrRoutingRule) {
  for (const std::uint16_t type : {RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWRULE, RTM_DELRULE, RTM_NEWNETCONF})
    EXPECT_TRUE(tells(type, {})) << type;
  for (const std::uint16_t type : {RTM_NEWNEIGH, RTM_NEWQDISC, RTM_NEWPREFIX}) EXPECT_FALSE(tells(type, {})) << type;
}

std::optional<std::uint32_t> remover_in(std::uint16_t type, std::uint32_t port) {
  NetlinkMessage message;
  const std::array<std::uint8_t, 16> header{};
  message.type = type;
  message.port_id = port;
  message.payload = header;
  return remover(message);
}

TEST(Remover, IsTheProcessWhoseFirstSocketItWas) {
  EXPECT_EQ(remover_in(RTM_DELRULE, 4711), 4711U);
  EXPECT_EQ(remover_in(RTM_DELADDR, 1), 1U);
  EXPECT_EQ(remover_in(RTM_NEWRULE, 4711), std::nullopt) << "it took nothing away";
  EXPECT_EQ(remover_in(RTM_DELRULE, 0), std::nullopt) << "the kernel itself";
  EXPECT_EQ(remover_in(RTM_DELRULE, 4294963200U), std::nullopt) << "a further socket of some process";
}

TEST(ProgramName, IsPrintableAndNothingWhereThereIsNone) {
  EXPECT_FALSE(program_name(static_cast<std::uint32_t>(::getpid())).empty());
  EXPECT_EQ(program_name(4'194'305), "");
}

}  // namespace
}  // namespace drpf::system
