// Which chains of nftables may refuse what this machine sends.
#include "system/output_chains.h"

#include <netinet/in.h>  // before the kernel's headers, which then leave out what both define

#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "system/nft_messages.h"

namespace drpf::system {
namespace {

struct Chain {
  std::uint8_t family = NFPROTO_INET;
  std::uint32_t hook = NF_INET_LOCAL_OUT;
  const char* type = "filter";
  std::uint32_t policy = NF_ACCEPT;
  std::uint32_t rules = 1;
  bool base = true;
};

std::string told(const Chain& chain) {
  NetlinkWriter writer;
  writer.message(nft_message(NFT_MSG_NEWCHAIN), 0, 1).header(netfilter_header(chain.family, 0));
  writer.text(NFTA_CHAIN_TABLE, "mine").text(NFTA_CHAIN_NAME, "out").u32_big_endian(NFTA_CHAIN_USE, chain.rules);
  if (chain.base) {
    const auto hook = writer.open(NFTA_CHAIN_HOOK);
    writer.u32_big_endian(NFTA_HOOK_HOOKNUM, chain.hook).close(hook);
    writer.u32_big_endian(NFTA_CHAIN_POLICY, chain.policy).text(NFTA_CHAIN_TYPE, chain.type);
  }
  const auto message = NetlinkMessages(writer.bytes()).next();
  return output_chain_of(*message);
}

TEST(OutputChains, AreThoseThatMayRefuseWhatIsSent) {
  EXPECT_EQ(told({}), "inet mine out");
  EXPECT_EQ(told({.family = NFPROTO_IPV6, .hook = NF_INET_POST_ROUTING}), "ip6 mine out");
  EXPECT_EQ(told({.policy = NF_DROP, .rules = 0}), "inet mine out");
  EXPECT_EQ(told({.rules = 0}), "") << "accepts everything";
  EXPECT_EQ(told({.hook = NF_INET_LOCAL_IN}), "");
  EXPECT_EQ(told({.type = "nat"}), "");
  EXPECT_EQ(told({.base = false}), "") << "only reached by a jump of another";
  EXPECT_EQ(told({.family = NFPROTO_BRIDGE}), "");
}

}  // namespace
}  // namespace drpf::system
