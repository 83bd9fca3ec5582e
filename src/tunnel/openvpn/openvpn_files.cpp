#include "tunnel/openvpn/openvpn_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/certificates.h"

namespace drpf::tunnel::openvpn {
namespace {

constexpr auto ping_every = std::chrono::seconds(10);
constexpr unsigned clients_max = 65'000;  // OpenVPN's own limit is 1024; the plans are what limits devices

std::string mask_of(const Prefix& prefix) {
  const auto length = prefix.length();
  return to_string(Address::v4(length == 0 ? 0 : 0xffffffffU << (32 - length)));
}

std::string block(const char* name, const std::string& text) { return fmt::format("<{}>\n{}</{}>\n", name, text, name); }

struct Remote {
  std::string host;
  std::string port;
};

// A host name or address, with or without a port.
Remote remote_of(const std::string& host, Port default_port) {
  Remote remote{host, to_string(default_port)};
  if (parse_address(host)) return remote;
  const auto colon = host.rfind(':');
  const auto bracket = host.rfind(']');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    remote.port = host.substr(colon + 1);
    remote.host = host.substr(0, colon);
  }
  if (remote.host.size() > 2 && remote.host.front() == '[' && remote.host.back() == ']')
    remote.host = remote.host.substr(1, remote.host.size() - 2);
  return remote;
}

}  // namespace

std::string server_configuration(const Settings& settings, const store::OpenVpnIdentity& identity) {
  const bool udp = settings.protocol == Protocol::udp;
  const auto patience = std::chrono::duration_cast<std::chrono::seconds>(settings.disconnect_after).count() / 2;
  std::string out = "mode server\ntls-server\n";
  // The device is there already and belongs to the daemon's user: it changes nothing of the network itself.
  out += fmt::format("dev {}\ndev-type tun\ntopology subnet\nifconfig-noexec\nroute-noexec\npersist-tun\ndisable-dco\ntun-mtu {}\n",
                     settings.interface, settings.mtu);
  out += fmt::format("proto {}{}\nport {}\n", udp ? "udp" : "tcp",
                     settings.both_families ? (udp ? "6" : "6-server") : (udp ? "4" : "4-server"), to_string(settings.port));
  // Answers leave from the address that was asked.
  if (udp) out += "multihome\nexplicit-exit-notify 1\nconnect-freq-initial 1000 10\n";
  if (!udp) out += "tcp-nodelay\n";
  out += fmt::format("ifconfig {} {}\n", to_string(settings.tunnel_v4.nth(1)), mask_of(settings.tunnel_v4));
  if (settings.tunnel_v6)
    out += fmt::format("ifconfig-ipv6 {}/{} {}\n", to_string(settings.tunnel_v6->nth(1)), settings.tunnel_v6->length(),
                       to_string(settings.tunnel_v6->nth(2)));
  out += fmt::format("keepalive {} {}\nmax-clients {}\n", ping_every.count(), std::max<long long>(patience, 3 * ping_every.count()),
                     clients_max);
  out += "dh none\ntls-version-min 1.2\nremote-cert-tls client\ndata-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\n";
  out += fmt::format("management {} unix\nmanagement-client\nmanagement-client-auth\nmanagement-hold\nauth-user-pass-optional\n",
                     settings.management);
  // Left to itself it would drop the older of two connections of one name without a word, before what we have to tell it is sent.
  out += "duplicate-cn\n";
  out += "script-security 0\nverb 0\n";
  out += block("ca", crypto::certificate_pem(identity.authority_certificate));
  out += block("cert", crypto::certificate_pem(identity.server_certificate));
  out += block("key", crypto::private_key_pem(identity.server_key));
  return out;
}

std::vector<std::string> client_options(const Settings& settings, const std::vector<Prefix>& addresses) {
  std::vector<std::string> lines;
  const auto push = [&](const std::string& text) { lines.push_back("push \"" + text + "\""); };
  bool carries_v6 = false;
  for (const auto& one : addresses) {
    if (one.family() == Family::v4) {
      lines.push_back(fmt::format("ifconfig-push {} {}", to_string(one.address()), mask_of(settings.tunnel_v4)));
    } else if (settings.tunnel_v6) {
      carries_v6 = true;
      lines.push_back(fmt::format("ifconfig-ipv6-push {}/{} {}", to_string(one.address()), settings.tunnel_v6->length(),
                                  to_string(settings.tunnel_v6->nth(1))));
    }
  }
  push("topology subnet");
  push("route-gateway " + to_string(settings.tunnel_v4.nth(1)));
  // IPv6 too where the tunnel has none: the device's IPv6 must not leave beside the tunnel.
  push(carries_v6 ? "redirect-gateway def1 ipv6" : "redirect-gateway def1");
  if (!carries_v6) push("block-ipv6");
  for (const auto& server : settings.dns) push(fmt::format("dhcp-option {} {}", server.is_v4() ? "DNS" : "DNS6", to_string(server)));
  return lines;
}

std::string device_file(const Settings& settings, const DeviceCard& card, const store::OpenVpnIdentity& identity,
                        const store::OpenVpnDevice& device) {
  const bool udp = settings.protocol == Protocol::udp;
  const auto remote = remote_of(card.host, settings.port);
  std::string out = fmt::format("# Device {} of account {}\nclient\ndev tun\nproto {}\nremote {} {}\n", card.device_name, card.account_name,
                                udp ? "udp" : "tcp-client", remote.host, remote.port);
  out += "resolv-retry infinite\nconnect-retry 1 30\nnobind\npersist-key\npersist-tun\n";
  out += fmt::format("remote-cert-tls server\nverify-x509-name {} name\ntls-version-min 1.2\ntun-mtu {}\n", server_name, settings.mtu);
  if (udp) out += "explicit-exit-notify 1\n";  // that it goes is known at once
  out += "verb 3\n";
  out += block("ca", crypto::certificate_pem(identity.authority_certificate));
  out += block("cert", crypto::certificate_pem(device.certificate));
  out += block("key", crypto::private_key_pem(device.private_key));
  return out;
}

}  // namespace drpf::tunnel::openvpn
