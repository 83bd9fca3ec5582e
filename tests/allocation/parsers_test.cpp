// Memory runs out in the parsers of what comes from outside, over the fuzz corpora: each says so or fails whole, leaks nothing (the
// sanitizer looks), and understands the same bytes again afterwards.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "allocation/allocation_failure.h"
#include "api/json_body.h"
#include "client/ports/published_ports.h"
#include "configuration/configuration_file.h"
#include "daemon/ssh_ports.h"
#include "firewall/foreign_rules.h"
#include "net/http_message.h"
#include "protocol/dns/address_query.h"
#include "protocol/wireguard/control_request.h"
#include "protocol/wireguard/wg_quick_file.h"
#include "system/conntrack.h"
#include "system/nft_elements.h"

namespace drpf {
namespace {

using Parser = std::function<std::string(std::string_view)>;  // in a few words, what was understood

constexpr std::size_t input_bytes_max = 4096;

ByteView bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

template <class T, class Tell>
std::string told(const Result<T>& value, Tell tell) {
  return value ? "good " + std::to_string(tell(*value)) : value.error().code + value.error().message;
}

std::string netlink(std::string_view text) {
  std::size_t elements = 0, entries = 0;
  system::NetlinkMessages messages(bytes_of(text));
  while (const auto message = messages.next()) {
    elements += system::parse_elements(*message).size();
    if (const auto entry = system::Conntrack::parse_entry(*message)) entries += 1 + entry->original_attribute.size();
  }
  return std::to_string(elements) + " " + std::to_string(entries);
}

struct Case {
  const char* corpus;
  Parser parse;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.corpus; }

const std::vector<Case>& cases() {
  using namespace protocol;
  static const std::vector<Case> all{
      {"configuration_fuzz",
       [](std::string_view text) {
         return told(configuration::parse_configuration(text, "f"),
                     [](const auto& value) { return value.plans.size() + value.hosts.size(); });
       }},
      {"control_socket_fuzz",
       [](std::string_view text) { return told(wireguard::parse_control_request(text), [](const auto& value) { return value.index(); }); }},
      {"dns_answer_fuzz",
       [](std::string_view text) {
         return told(dns::decode_answer(bytes_of(text), 0x1a2b, "vpn.example.net", Family::v4),
                     [](const auto& value) { return value.size(); });
       }},
      {"http_target_fuzz",
       [](std::string_view text) {
         return told(net::parse_target(text), [](const auto& value) { return value.path.size() + value.query.size(); });
       }},
      {"wg_quick_file_fuzz",
       [](std::string_view text) {
         return told(wireguard::parse_wg_quick_file(text, "f"), [](const auto& value) { return value.peers.size(); });
       }},
      {"gateway_report_fuzz",
       [](std::string_view text) { return told(client::parse_report(text), [](const auto& value) { return value.ports.size(); }); }},
      {"json_api_fuzz",
       [](std::string_view text) {
         return told(api::JsonBody::parse(text.substr(std::min(text.find('\n'), text.size() - 1) + 1)), [](auto) { return 1; });
       }},
      {"foreign_rules_fuzz", [](std::string_view text) { return std::to_string(firewall::find_foreign_rules(text, {}).size()); }},
      {"host_files_fuzz", [](std::string_view text) { return std::to_string(daemon::parse_ssh_ports(text.substr(1)).size()); }},
      {"netlink_reply_fuzz", netlink},
  };
  return all;
}

class ParserAllocationFailure : public ::testing::TestWithParam<Case> {};

TEST_P(ParserAllocationFailure, IsNothingToStumbleOver) {
  const auto& [corpus, parse] = GetParam();
  std::size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(DRPF_SOURCE_DIR "/tests/fuzz/corpus/") + corpus)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (text.empty() || text.size() > input_bytes_max) continue;
    ++inputs;
    const auto wanted = parse(text);
    std::string got;
    test::fail_each_allocation([&] { got = parse(text); },
                               [&](bool thrown) {
                                 if (!thrown) {
                                   EXPECT_EQ(got, wanted) << entry.path();
                                 }
                                 got.clear();
                               });
    EXPECT_EQ(parse(text), wanted) << entry.path();
  }
  EXPECT_GT(inputs, 0U) << corpus;
}

INSTANTIATE_TEST_SUITE_P(Corpora, ParserAllocationFailure, ::testing::ValuesIn(cases()),
                         [](const auto& one) { return std::string(one.param.corpus); });

}  // namespace
}  // namespace drpf
