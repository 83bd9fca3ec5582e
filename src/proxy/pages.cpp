#include "proxy/pages.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "proxy/host.h"

namespace drpf::proxy {
namespace {

constexpr std::string_view page_begin =
    "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>drpf proxy</title>"
    "<style>body{font-family:sans-serif;max-width:45em;margin:3em auto;padding:0 1em}</style></head><body>\n";
constexpr std::string_view page_end = "<hr><p>drpf proxy</p></body></html>\n";

std::string netmask_of(unsigned length) { return drpf::to_string(Address::v4(length == 0 ? 0 : ~std::uint32_t{0} << (32 - length))); }

std::string authority_text(const Endpoint& endpoint) { return authority_of(endpoint.address, endpoint.port.value()); }

}  // namespace

std::string_view reason_of(unsigned status) {
  static constexpr std::array<std::pair<unsigned, std::string_view>, 17> reasons{{{200, "OK"},
                                                                                  {400, "Bad Request"},
                                                                                  {403, "Forbidden"},
                                                                                  {404, "Not Found"},
                                                                                  {405, "Method Not Allowed"},
                                                                                  {407, "Proxy Authentication Required"},
                                                                                  {408, "Request Timeout"},
                                                                                  {414, "URI Too Long"},
                                                                                  {417, "Expectation Failed"},
                                                                                  {431, "Request Header Fields Too Large"},
                                                                                  {500, "Internal Server Error"},
                                                                                  {501, "Not Implemented"},
                                                                                  {502, "Bad Gateway"},
                                                                                  {503, "Service Unavailable"},
                                                                                  {504, "Gateway Timeout"},
                                                                                  {505, "HTTP Version Not Supported"},
                                                                                  {429, "Too Many Requests"}}};
  for (const auto& [code, reason] : reasons)
    if (code == status) return reason;
  return "Error";
}

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string own_page(std::string_view content_type, std::string_view body, bool head_only, bool keep_alive) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n{}\r\n{}", content_type,
                     body.size(), keep_alive ? "" : "Connection: close\r\n", head_only ? std::string_view() : body);
}

std::string failure_page(unsigned status, std::string_view why, std::string_view cure, bool head_only) {
  auto body = fmt::format("{}<h1>{} {}</h1>\n<p>{}.</p>\n", page_begin, status, reason_of(status), html_escaped(why));
  if (!cure.empty()) body += fmt::format("<p>What helps, on the machine of the proxy: {}.</p>\n", html_escaped(cure));
  body += page_end;
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: "
      "no-store\r\n\r\n{}",
      status, reason_of(status), body.size(), head_only ? std::string_view() : std::string_view(body));
}

std::string proxy_configuration_file(const Policy& policy, const Endpoint& proxy) {
  const auto at = authority_text(proxy);
  std::string file =
      "function FindProxyForURL(url, host) {\n"
      "  // What is near is reached without the proxy.\n"
      "  if (isPlainHostName(host) || dnsDomainIs(host, \".local\") || dnsDomainIs(host, \".localhost\")) return \"DIRECT\";\n"
      "  if (/^\\d+\\.\\d+\\.\\d+\\.\\d+$/.test(host)) {\n";
  std::vector<Prefix> near{*parse_prefix("127.0.0.0/8"), *parse_prefix("10.0.0.0/8"), *parse_prefix("172.16.0.0/12"),
                           *parse_prefix("192.168.0.0/16"), *parse_prefix("169.254.0.0/16")};
  for (const auto& source : policy.sources)
    if (source.family() == Family::v4) near.push_back(source);
  const auto net = [](const Prefix& prefix) {
    return fmt::format("isInNet(host, \"{}\", \"{}\")", drpf::to_string(prefix.address()), netmask_of(prefix.length()));
  };
  // What is reached through the proxy although it is private goes there.
  for (const auto& prefix : policy.reach_private)
    if (prefix.family() == Family::v4 && !prefix.address().is_loopback())
      file += fmt::format("    if ({}) return \"PROXY {}; SOCKS5 {}; SOCKS {}\";\n", net(prefix), at, at, at);
  for (const auto& prefix : near) file += fmt::format("    if ({}) return \"DIRECT\";\n", net(prefix));
  file += fmt::format("  }}\n  return \"PROXY {}; SOCKS5 {}; SOCKS {}\";\n}}\n", at, at, at);
  return file;
}

std::string welcome_page(const Endpoint& proxy) {
  const auto at = authority_text(proxy);
  return fmt::format(
      "{}<h1>drpf proxy</h1>\n<p>This is a proxy. Enter <b>{}</b>, port <b>{}</b>, in your program for HTTP, HTTPS, FTP and SOCKS, or "
      "<a href=\"/proxy.pac\">http://{}/proxy.pac</a> as the address of automatic configuration.</p>\n<pre>{}</pre>\n{}",
      page_begin, drpf::to_string(proxy.address), proxy.port.value(), at, html_escaped(settings_text(proxy, {})), page_end);
}

std::string settings_text(const Endpoint& proxy, const Policy& policy) {
  const auto host = drpf::to_string(proxy.address);
  const auto url_host = proxy.address.is_v6() ? "[" + host + "]" : host;
  const auto port = proxy.port.value();
  std::string text;
  const auto line = [&](std::string_view what, std::string_view value) { text += fmt::format("  {:<28}{}\n", what, value); };
  const auto section = [&](std::string_view name) { text += fmt::format("{}{}\n", text.empty() ? "" : "\n", name); };
  const auto at = fmt::format("{}:{}", url_host, port);

  section("By itself (a browser or system that reads a configuration file)");
  line("automatic configuration URL", fmt::format("http://{}/proxy.pac", at));
  line("DHCP option 252 (dnsmasq)", fmt::format("dhcp-option=252,\"http://{}/wpad.dat\"    (not announced by drpf)", at));

  section("Windows: Settings > Network & Internet > Proxy; or Internet Options > Connections > LAN settings > Advanced");
  line("HTTP, Secure, FTP", fmt::format("{}   port {}", host, port));
  line("Socks", fmt::format("{}   port {}   (SOCKS 4 there)", host, port));
  line("Exceptions", "localhost;127.*;10.*;172.16.*;192.168.*;<local>");

  section("macOS: System Settings > Network > Details > Proxies");
  line("Web Proxy (HTTP)", at);
  line("Secure Web Proxy (HTTPS)", at);
  line("SOCKS Proxy", at);

  section("GNOME: Settings > Network > Network Proxy > Manual");
  line("HTTP, HTTPS, FTP, Socks", fmt::format("{}   port {}", url_host, port));
  line("or", fmt::format("gsettings set org.gnome.system.proxy autoconfig-url http://{}/proxy.pac", at));
  line("", "gsettings set org.gnome.system.proxy mode auto");

  section("Firefox: Settings > Network Settings > Manual proxy configuration");
  line("HTTP Proxy", fmt::format("{}   port {}   [x] Also use this proxy for HTTPS", host, port));
  line("or SOCKS Host", fmt::format("{}   port {}   SOCKS v5   [x] Proxy DNS when using SOCKS v5", host, port));

  section("Programs of a shell");
  line("most (curl, wget, git, ...)", fmt::format("export http_proxy=http://{0} https_proxy=http://{0} ftp_proxy=http://{0}", at));
  line("", "export no_proxy=localhost,127.0.0.1,.local");
  line("curl", fmt::format("curl --proxy http://{} https://example.org/", at));
  line("curl by SOCKS", fmt::format("curl --proxy socks5h://{} https://example.org/", at));
  line("git", fmt::format("git config --global http.proxy http://{}", at));
  line("ssh", fmt::format("ssh -o ProxyCommand='nc -X 5 -x {} %h %p' user@example.org", at));
  line("apt: /etc/apt/apt.conf.d/80proxy", "");
  line("", fmt::format("Acquire::http::Proxy \"http://{}\";", at));
  line("", fmt::format("Acquire::https::Proxy \"http://{}\";", at));

  std::string ports;
  for (const auto allowed : policy.connect_ports) ports += (ports.empty() ? "" : ", ") + drpf::to_string(allowed);
  section("What it lets through");
  line("CONNECT to ports", ports);
  line("SOCKS", "every port but 25");
  return text;
}

}  // namespace drpf::proxy
