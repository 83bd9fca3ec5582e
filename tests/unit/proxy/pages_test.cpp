#include "proxy/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/http/message_head.h"
#include "proxy/access_log.h"

namespace drpf::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

const Endpoint proxy{Address::v4(0xc0a80701), Port{3128}};

TEST(Pages, AFailureSaysWhyAndEndsTheConnection) {
  const auto page = failure_page(504, "<b> does not answer", "wait & see");
  EXPECT_THAT(page, HasSubstr("HTTP/1.1 504 Gateway Timeout\r\n"));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt; does not answer"));
  EXPECT_THAT(page, HasSubstr("wait &amp; see"));
  EXPECT_THAT(page, HasSubstr("Connection: close"));
  EXPECT_TRUE(failure_page(502, "x", "", true).ends_with("\r\n\r\n"));
  const auto head = page.substr(0, page.find("\r\n\r\n") + 4);
  const auto parsed = protocol::http::parse_response_head(head);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(std::stoul(*protocol::http::single(parsed->fields, "Content-Length")), page.size() - head.size());
}

TEST(Pages, TheConfigurationFileKeepsWhatIsNearOutOfTheProxy) {
  Policy policy;
  policy.sources = {*parse_prefix("192.168.7.0/24")};
  policy.reach_private = {*parse_prefix("10.20.0.0/16")};
  const auto file = proxy_configuration_file(policy, proxy);
  EXPECT_THAT(file, HasSubstr("function FindProxyForURL(url, host)"));
  EXPECT_THAT(file, HasSubstr("isInNet(host, \"192.168.7.0\", \"255.255.255.0\")) return \"DIRECT\""));
  EXPECT_THAT(file, HasSubstr("isInNet(host, \"10.20.0.0\", \"255.255.0.0\")) return \"PROXY 192.168.7.1:3128"));
  EXPECT_THAT(file, HasSubstr("return \"PROXY 192.168.7.1:3128; SOCKS5 192.168.7.1:3128; SOCKS 192.168.7.1:3128\";\n}"));
}

TEST(Pages, SettingsHaveTheRealAddressForEachProgram) {
  const auto text = settings_text(proxy, {});
  for (const auto* const part :
       {"Windows", "macOS", "GNOME", "Firefox", "curl --proxy http://192.168.7.1:3128", "git config --global http.proxy",
        "Acquire::http::Proxy \"http://192.168.7.1:3128\"", "http://192.168.7.1:3128/proxy.pac", "443, 563, 8443"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(settings_text({*parse_address("fd00::1"), Port{3128}}, {}), HasSubstr("http://[fd00::1]:3128"));
}

TEST(AccessLog, LinesAreSquids) {
  Access access{{}, Address::v4(0xc0a80702), "TCP_MISS", 200, 1024, "GET", "http://a.example/", Address::v4(0xc6336407)};
  const std::chrono::system_clock::time_point at{std::chrono::milliseconds(1286536309450)};
  EXPECT_EQ(access_line(access, at, std::chrono::milliseconds(12)),
            "1286536309.450     12 192.168.7.2 TCP_MISS/200 1024 GET http://a.example/ - HIER_DIRECT/198.51.100.7 -\n");
  access.method = access.url = "";
  access.peer.reset();
  EXPECT_EQ(access_line(access, at, {}),
            "1286536309.450      0 192.168.7.2 TCP_MISS/200 1024 NONE error:invalid-request - HIER_NONE/- -\n");
}

}  // namespace
}  // namespace drpf::proxy
