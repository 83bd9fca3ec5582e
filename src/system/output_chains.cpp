#include "system/output_chains.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "system/netlink_socket.h"
#include "system/nft_messages.h"

namespace drpf::system {
namespace {

constexpr std::array<std::pair<std::uint8_t, const char*>, 3> families{
    {{NFPROTO_INET, "inet"}, {NFPROTO_IPV4, "ip"}, {NFPROTO_IPV6, "ip6"}}};

}  // namespace

std::string output_chain_of(const NetlinkMessage& message) {
  if (message.type != nft_message(NFT_MSG_NEWCHAIN) || message.payload.size() < netfilter_header_size) return {};
  const auto family = std::ranges::find(families, message.payload[0], &std::pair<std::uint8_t, const char*>::first);
  const auto attributes = message.attributes(netfilter_header_size);
  const auto hook = find_attribute(attributes, NFTA_CHAIN_HOOK);
  const auto type = find_attribute(attributes, NFTA_CHAIN_TYPE);
  if (family == families.end() || !hook || !type || type->text() != "filter") return {};
  const auto number = find_attribute(hook->payload, NFTA_HOOK_HOOKNUM);
  if (!number || (number->u32_big_endian() != NF_INET_LOCAL_OUT && number->u32_big_endian() != NF_INET_POST_ROUTING)) return {};
  const auto policy = find_attribute(attributes, NFTA_CHAIN_POLICY);
  const auto rules = find_attribute(attributes, NFTA_CHAIN_USE);
  const bool drops = policy && policy->u32_big_endian() == NF_DROP;
  if (!drops && (!rules || rules->u32_big_endian() == 0)) return {};
  const auto table = find_attribute(attributes, NFTA_CHAIN_TABLE);
  const auto name = find_attribute(attributes, NFTA_CHAIN_NAME);
  return fmt::format("{} {} {}", family->second, table ? table->text() : "?", name ? name->text() : "?");
}

Result<std::vector<std::string>> output_chains() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail(std::move(socket.error()));
  NetlinkWriter message;
  message.message(nft_message(NFT_MSG_GETCHAIN), NLM_F_REQUEST | NLM_F_DUMP, socket->next_sequence())
      .header(netfilter_header(NFPROTO_UNSPEC, 0));
  std::vector<std::string> chains;
  const auto whole = socket->dump(message, "read the chains of nftables", [&](const NetlinkMessage& reply) {
    if (auto chain = output_chain_of(reply); !chain.empty()) chains.push_back(std::move(chain));
  });
  if (!whole) return fail(whole.error());
  return chains;
}

}  // namespace drpf::system
