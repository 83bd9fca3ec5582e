#include "system/nft_table.h"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "system/nft_messages.h"

namespace drpf::system {
namespace {

constexpr std::uint32_t flag_owner = 0x2;
constexpr std::uint32_t flag_persist = 0x4;  // NFT_TABLE_F_PERSIST, newer than Debian 12's headers
constexpr int dump_tries_max = 10;

NetlinkWriter request(NetlinkSocket& socket, std::uint16_t type, int flags, std::uint8_t family = NFPROTO_INET) {
  NetlinkWriter message;
  message.message(nft_message(type), static_cast<std::uint16_t>(NLM_F_REQUEST | flags), socket.next_sequence())
      .header(netfilter_header(family, 0));
  return message;
}

}  // namespace

Result<NftTable> NftTable::open(std::string name) {
  auto writes = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!writes) return fail(writes.error());
  auto reads = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!reads) return fail(reads.error());
  return NftTable(std::move(name), std::move(*writes), std::move(*reads));
}

Result<NftTable::State> NftTable::state() {
  auto message = request(reads_, NFT_MSG_GETTABLE, NLM_F_ACK);
  message.text(NFTA_TABLE_NAME, name_);
  std::uint32_t flags = 0;
  const auto asked = reads_.request(message, "look at the nftables table inet " + name_, [&](const NetlinkMessage& reply) {
    if (const auto found = find_attribute(reply.attributes(netfilter_header_size), NFTA_TABLE_FLAGS)) flags = found->u32_big_endian();
  });
  if (!asked) {
    if (is_errno(asked.error(), ENOENT)) return State::absent;
    return fail(asked.error());
  }
  if ((flags & flag_owner) != 0) return State::owned;
  return (flags & flag_persist) != 0 ? State::orphan : State::plain;
}

Status NftTable::create(bool persistent) {
  NftBatch batch(name_);
  batch.put_table(persistent ? flag_persist : 0);
  return apply(batch, "create the nftables table inet " + name_);
}

Result<bool> NftTable::can_persist() {
  NftBatch trial(name_ + "_trial");
  trial.put_table(flag_persist);
  trial.remove_table();
  const auto tried = apply(trial, "create a persistent nftables table");
  if (tried) return true;
  if (is_errno(tried.error(), EOPNOTSUPP) || is_errno(tried.error(), EINVAL)) return false;
  return fail(tried.error());
}

Status NftTable::adopt() {
  NftBatch batch(name_);
  batch.put_table(flag_owner | flag_persist);
  return apply(batch, "take ownership of the nftables table inet " + name_);
}

Status NftTable::remove() {
  NftBatch batch(name_);
  batch.remove_table();
  auto removed = apply(batch, "remove the nftables table inet " + name_);
  if (!removed && is_errno(removed.error(), ENOENT)) return {};
  return removed;
}

Status NftTable::apply(const NftBatch& batch, std::string_view attempt, std::vector<NftCounted>* removed) {
  if (batch.empty()) return {};
  std::uint32_t last = 0;
  const auto first = writes_.next_sequence();
  auto bytes = batch.encode(first, last);
  while (writes_.next_sequence() < last) {}  // numbers are not used twice
  if (removed == nullptr) return writes_.transact(bytes, last, attempt);
  return writes_.transact(bytes, last, attempt, [&](const NetlinkMessage& reply) {
    for (auto& element : parse_counted(reply)) removed->push_back(std::move(element));
  });
}

Result<std::vector<NftElement>> NftTable::dump(const std::string& set) {
  const auto attempt = fmt::format("read the elements of {} in table inet {}", set, name_);
  std::vector<NftElement> out;
  for (int i = 0; i < dump_tries_max; ++i) {
    out.clear();
    auto message = request(reads_, NFT_MSG_GETSETELEM, NLM_F_DUMP);
    message.text(NFTA_SET_ELEM_LIST_TABLE, name_).text(NFTA_SET_ELEM_LIST_SET, set);
    const auto whole = reads_.dump(message, attempt, [&](const NetlinkMessage& reply) {
      const auto elements = parse_elements(reply);
      out.insert(out.end(), elements.begin(), elements.end());
    });
    if (!whole) {
      if (is_errno(whole.error(), EINTR)) continue;
      return fail(whole.error());
    }
    if (*whole) return out;
  }
  return fail(
      failure("dump_interrupted", fmt::format("could not {}: the rule set changed during each of {} readings", attempt, dump_tries_max)));
}

Status NftTable::ask_for(const std::string& set, const NftData& key, const NetlinkSocket::Visitor& visit) {
  auto message = request(reads_, NFT_MSG_GETSETELEM, NLM_F_ACK);
  message.text(NFTA_SET_ELEM_LIST_TABLE, name_).text(NFTA_SET_ELEM_LIST_SET, set);
  const auto list = message.open(NFTA_SET_ELEM_LIST_ELEMENTS);
  const auto item = message.open(NFTA_LIST_ELEM);
  const auto key_field = message.open(NFTA_SET_ELEM_KEY);
  message.attribute(NFTA_DATA_VALUE, key.bytes()).close(key_field).close(item).close(list);
  auto asked = reads_.request(message, fmt::format("look up an element of {}", set), visit);
  if (!asked && is_errno(asked.error(), ENOENT)) return {};
  return asked;
}

Result<std::optional<NftElement>> NftTable::find(const std::string& set, const NftData& key) {
  std::optional<NftElement> found;
  const auto asked = ask_for(set, key, [&](const NetlinkMessage& reply) {
    const auto elements = parse_elements(reply);
    if (!elements.empty()) found = elements.front();
  });
  if (!asked) return fail(asked.error());
  return found;
}

Result<std::optional<NftCounted>> NftTable::find_counted(const std::string& set, const NftData& key) {
  std::optional<NftCounted> found;
  const auto asked = ask_for(set, key, [&](const NetlinkMessage& reply) {
    const auto elements = parse_counted(reply);
    if (!elements.empty()) found = elements.front();
  });
  if (!asked) return fail(asked.error());
  return found;
}

Result<std::uint32_t> NftTable::generation() {
  auto message = request(reads_, NFT_MSG_GETGEN, NLM_F_ACK, NFPROTO_UNSPEC);
  std::uint32_t generation = 0;
  const auto asked = reads_.request(message, "read the generation of the rule set", [&](const NetlinkMessage& reply) {
    if (const auto found = find_attribute(reply.attributes(netfilter_header_size), NFTA_GEN_ID)) generation = found->u32_big_endian();
  });
  if (!asked) return fail(asked.error());
  return generation;
}

Result<std::string> NftTable::fingerprint() {
  for (int i = 0; i < dump_tries_max; ++i) {
    std::string text;
    auto tables = request(reads_, NFT_MSG_GETTABLE, NLM_F_ACK);
    tables.text(NFTA_TABLE_NAME, name_);
    const auto table_read = reads_.request(tables, "look at the nftables table inet " + name_, [&](const NetlinkMessage& reply) {
      const auto attributes = reply.attributes(netfilter_header_size);
      const auto handle = find_attribute(attributes, NFTA_TABLE_HANDLE);
      const auto flags = find_attribute(attributes, NFTA_TABLE_FLAGS);
      // Who owns it is not structure; whether it is dormant is.
      text = fmt::format("table {} {}\n", handle ? handle->u64_big_endian() : 0, flags ? flags->u32_big_endian() & NFT_TABLE_F_DORMANT : 0);
    });
    if (!table_read) {
      if (is_errno(table_read.error(), ENOENT)) return std::string();
      return fail(table_read.error());
    }
    auto chains = request(reads_, NFT_MSG_GETCHAIN, NLM_F_DUMP);
    const auto chains_read = reads_.dump(chains, "read the chains", [&](const NetlinkMessage& reply) {
      const auto attributes = reply.attributes(netfilter_header_size);
      const auto table = find_attribute(attributes, NFTA_CHAIN_TABLE);
      if (!table || table->text() != name_) return;
      const auto name = find_attribute(attributes, NFTA_CHAIN_NAME);
      const auto handle = find_attribute(attributes, NFTA_CHAIN_HANDLE);
      const auto policy = find_attribute(attributes, NFTA_CHAIN_POLICY);
      text += fmt::format("chain {} {} {}\n", name ? name->text() : "", handle ? handle->u64_big_endian() : 0,
                          policy ? policy->u32_big_endian() : 0);
    });
    if (!chains_read) return fail(chains_read.error());
    auto rules = request(reads_, NFT_MSG_GETRULE, NLM_F_DUMP);
    rules.text(NFTA_RULE_TABLE, name_);
    const auto rules_read = reads_.dump(rules, "read the rules", [&](const NetlinkMessage& reply) {
      const auto attributes = reply.attributes(netfilter_header_size);
      const auto table = find_attribute(attributes, NFTA_RULE_TABLE);
      if (!table || table->text() != name_) return;
      const auto chain = find_attribute(attributes, NFTA_RULE_CHAIN);
      const auto handle = find_attribute(attributes, NFTA_RULE_HANDLE);
      text += fmt::format("rule {} {}\n", chain ? chain->text() : "", handle ? handle->u64_big_endian() : 0);
    });
    if (!rules_read) return fail(rules_read.error());
    if (*chains_read && *rules_read) return text;
  }
  return fail(failure("dump_interrupted", fmt::format("the rule set changed during each of {} readings", dump_tries_max)));
}

Result<std::vector<std::string>> NftTable::tables() {
  constexpr std::array<std::pair<std::uint8_t, std::string_view>, 6> families{{{NFPROTO_INET, "inet"},
                                                                               {NFPROTO_IPV4, "ip"},
                                                                               {NFPROTO_ARP, "arp"},
                                                                               {NFPROTO_NETDEV, "netdev"},
                                                                               {NFPROTO_BRIDGE, "bridge"},
                                                                               {NFPROTO_IPV6, "ip6"}}};
  std::vector<std::string> out;
  auto message = request(reads_, NFT_MSG_GETTABLE, NLM_F_DUMP, NFPROTO_UNSPEC);
  const auto read = reads_.dump(message, "read the tables", [&](const NetlinkMessage& reply) {
    const auto name = find_attribute(reply.attributes(netfilter_header_size), NFTA_TABLE_NAME);
    if (!name || reply.payload.empty()) return;
    for (const auto& [number, family] : families)
      if (number == reply.payload[0]) out.push_back(fmt::format("{} {}", family, name->text()));
  });
  if (!read) return fail(read.error());
  return out;
}

Result<std::vector<std::string>> NftTable::names_of_others() {
  std::vector<std::string> out;
  auto message = request(reads_, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC);
  const auto read = reads_.dump(message, "read the chains", [&](const NetlinkMessage& reply) {
    const auto attributes = reply.attributes(netfilter_header_size);
    const auto table = find_attribute(attributes, NFTA_CHAIN_TABLE);
    const auto name = find_attribute(attributes, NFTA_CHAIN_NAME);
    if (!table || !name || table->text() == name_) return;
    for (const auto text : {table->text(), name->text()})
      if (std::find(out.begin(), out.end(), text) == out.end()) out.emplace_back(text);
  });
  if (!read) return fail(read.error());
  return out;
}

Result<std::vector<std::string>> NftTable::chains() {
  std::vector<std::string> out;
  auto message = request(reads_, NFT_MSG_GETCHAIN, NLM_F_DUMP);
  const auto read = reads_.dump(message, "read the chains", [&](const NetlinkMessage& reply) {
    const auto attributes = reply.attributes(netfilter_header_size);
    const auto table = find_attribute(attributes, NFTA_CHAIN_TABLE);
    const auto name = find_attribute(attributes, NFTA_CHAIN_NAME);
    if (table && name && table->text() == name_) out.emplace_back(name->text());
  });
  if (!read) return fail(read.error());
  return out;
}

}  // namespace drpf::system
