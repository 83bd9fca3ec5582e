#include "scan/ask/udp_payloads.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace drpf::scan {
namespace {

Bytes text(std::string_view words) {
  Bytes out(words.size());
  std::copy(words.begin(), words.end(), out.begin());
  return out;
}

// BER (X.690): tag, length in the short or the two-octet long form, content.
Bytes ber(std::uint8_t tag, ByteView content) {
  ByteWriter out;
  out.u8(tag);
  if (content.size() < 0x80)
    out.u8(static_cast<std::uint8_t>(content.size()));
  else
    out.u8(0x82).u16_be(static_cast<std::uint16_t>(content.size()));
  return out.bytes(content).take();
}
Bytes ber_integer(std::uint32_t value) { return ber(0x02, ByteWriter().u8(0).u32_be(value).view()); }
Bytes ber_small(std::uint8_t tag, std::uint8_t value) { return ber(tag, std::array{value}); }
Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

// Echo, daytime, quote of the day, character generator (RFC 862, 867, 865, 864), and time (RFC 868): any datagram is a request.
Bytes any_datagram(std::uint32_t) { return ByteWriter().u16_be(0x0d0a).take(); }

// RFC 1035 section 4.1: who serves the root.
Bytes dns(std::uint32_t cookie) {
  return ByteWriter().u16_be(static_cast<std::uint16_t>(cookie)).u16_be(0x0100).u16_be(1).zeros(6).u8(0).u16_be(2).u16_be(1).take();
}

// RFC 6762 section 5.5 and RFC 6763 section 9: which kinds of service there are; the answer may come to the asker alone.
Bytes multicast_dns(std::uint32_t cookie) {
  ByteWriter out;
  out.u16_be(static_cast<std::uint16_t>(cookie)).u16_be(0).u16_be(1).zeros(6);
  for (const std::string_view label : {"_services", "_dns-sd", "_udp", "local"})
    out.u8(static_cast<std::uint8_t>(label.size())).bytes(text(label));
  return out.u8(0).u16_be(12).u16_be(0x8001).take();
}

// RFC 2131 section 4.4.3: asks for parameters only, no address is handed out.
Bytes dhcp(std::uint32_t cookie) {
  ByteWriter out;
  out.u8(1).u8(1).u8(6).u8(0).u32_be(cookie).zeros(20).u8(2).zeros(15).zeros(192).u32_be(0x63825363);
  return out.u8(53).u8(1).u8(8).u8(55).u8(2).u8(1).u8(3).u8(255).take();
}

// RFC 1350 section 5: a file that there is not; the error comes from a new port.
Bytes tftp(std::uint32_t cookie) {
  return joined({ByteWriter().u16_be(1).take(), text(fmt::format("drpf-{:08x}", cookie)), Bytes(1), text("octet"), Bytes(1)});
}

// RFC 5531 section 9: procedure 0 of this program, which does nothing and takes nothing.
Bytes rpc_null(std::uint32_t cookie, std::uint32_t program, std::uint32_t version) {
  return ByteWriter().u32_be(cookie).u32_be(0).u32_be(2).u32_be(program).u32_be(version).u32_be(0).zeros(16).take();
}
Bytes port_mapper(std::uint32_t cookie) { return rpc_null(cookie, 100000, 2); }
Bytes nfs(std::uint32_t cookie) { return rpc_null(cookie, 100003, 3); }

// RFC 5905 section 7.3: version 4, client; the server repeats the transmit timestamp as origin.
Bytes ntp(std::uint32_t cookie) { return ByteWriter().u8(0x23).u8(0).u8(6).u8(0xec).zeros(36).u32_be(cookie).u32_be(cookie).take(); }

// RFC 1002 section 4.2.17: node status of the name "*", in the half-ASCII encoding of RFC 1001 section 14.1.
Bytes netbios_name(std::uint32_t cookie) {
  ByteWriter out;
  out.u16_be(static_cast<std::uint16_t>(cookie)).u16_be(0).u16_be(1).zeros(6).u8(32).u8('C').u8('K');
  for (int i = 0; i < 30; ++i) out.u8('A');
  return out.u8(0).u16_be(0x21).u16_be(1).take();
}

// RFC 3414 section 4: engine discovery, which is answered without any user or community.
Bytes snmp(std::uint32_t cookie) {
  const auto id = cookie >> 1;
  const auto empty = ber(0x04, {});
  const auto header = ber(0x30, joined({ber_integer(id), ber_integer(65507), ber_small(0x04, 0x04), ber_small(0x02, 3)}));
  const auto security = ber(0x04, ber(0x30, joined({empty, ber_small(0x02, 0), ber_small(0x02, 0), empty, empty, empty})));
  const auto get = ber(0xa0, joined({ber_integer(id), ber_small(0x02, 0), ber_small(0x02, 0), ber(0x30, {})}));
  return ber(0x30, joined({ber_small(0x02, 3), header, security, ber(0x30, joined({empty, empty, get}))}));
}

// XDMCP (X Display Manager Control Protocol 1.1, section "Query"): without authentication names.
Bytes xdmcp(std::uint32_t) { return ByteWriter().u16_be(1).u16_be(2).u16_be(1).u8(0).take(); }

// RFC 4511 section 4.5.1 over UDP (RFC 1798): attributes of the root entry.
Bytes ldap(std::uint32_t cookie) {
  const auto present = ber(0x87, text("objectClass"));
  const auto search = ber(0x63, joined({ber(0x04, {}), ber_small(0x0a, 0), ber_small(0x0a, 0), ber_small(0x02, 0), ber_small(0x02, 0),
                                        ber_small(0x01, 0), present, ber(0x30, {})}));
  return ber(0x30, joined({ber_integer(cookie >> 1), search}));
}

// RFC 9000 section 17.2 and 6.1: a version that is reserved to be answered by the list of those that there are; 1,200 bytes at least.
Bytes quic(std::uint32_t cookie) {
  ByteWriter out;
  out.u8(0xc0).u32_be(0x1a2a3a4a).u8(8).u32_be(cookie).u32_be(~cookie).u8(8).u32_be(cookie).u32_be(cookie);
  return out.zeros(1200 - out.size()).take();
}

// RFC 7296 section 1.2: IKE_SA_INIT with one proposal (AES-CBC 128, SHA-1, group 14). The key is a pattern: no session comes of it.
Bytes ike(std::uint32_t cookie) {
  ByteWriter transforms;
  transforms.u8(3).u8(0).u16_be(12).u8(1).u8(0).u16_be(12).u16_be(0x800e).u16_be(128);
  transforms.u8(3).u8(0).u16_be(8).u8(2).u8(0).u16_be(2);
  transforms.u8(3).u8(0).u16_be(8).u8(3).u8(0).u16_be(2);
  transforms.u8(0).u8(0).u16_be(8).u8(4).u8(0).u16_be(14);
  ByteWriter body;
  body.u8(34).u8(0).u16_be(static_cast<std::uint16_t>(12 + transforms.size()));
  body.u8(0).u8(0).u16_be(static_cast<std::uint16_t>(8 + transforms.size())).u8(1).u8(1).u8(0).u8(4).bytes(transforms.view());
  body.u8(40).u8(0).u16_be(8 + 256).u16_be(14).u16_be(0);
  for (std::uint32_t i = 0; i < 64; ++i) body.u32_be(cookie ^ i * 0x9e3779b9U);
  body.u8(0).u8(0).u16_be(4 + 32);
  for (std::uint32_t i = 0; i < 8; ++i) body.u32_be(cookie + i);
  ByteWriter out;
  out.u32_be(cookie).u32_be(~cookie).u64_be(0).u8(33).u8(0x20).u8(34).u8(0x08).u32_be(0).u32_be(
      static_cast<std::uint32_t>(28 + body.size()));
  return out.bytes(body.view()).take();
}
// RFC 3948 section 2.2: four zero bytes tell it from ESP.
Bytes ike_behind_nat(std::uint32_t cookie) { return joined({Bytes(4), ike(cookie)}); }

// RFC 2453 section 3.9.1: the whole table.
Bytes rip(std::uint32_t) { return ByteWriter().u8(1).u8(2).u16_be(0).u16_be(0).u16_be(0).zeros(12).u32_be(16).take(); }

// RFC 2326 section 10.1.
Bytes rtsp(std::uint32_t cookie) { return text(fmt::format("OPTIONS * RTSP/1.0\r\nCSeq: {}\r\n\r\n", cookie & 0xffff)); }

// ASF 2.0 section 3.2.4.3: presence ping in RMCP.
Bytes rmcp(std::uint32_t) { return ByteWriter().u32_be(0x0600ff06).u32_be(0x000011be).u8(0x80).u8(0).u8(0).u8(0).take(); }

// OpenVPN's first packet of a client: hard reset, version 2; nothing acknowledged, packet 0.
Bytes openvpn(std::uint32_t cookie) { return ByteWriter().u8(0x38).u32_be(cookie).u32_be(~cookie).u8(0).u32_be(0).take(); }

// SQL Server resolution protocol (MC-SQLR section 2.2.1): which instances there are.
Bytes sql_server(std::uint32_t) { return ByteWriter().u8(2).take(); }

// RFC 2661 section 6.1: SCCRQ with what it must have.
Bytes l2tp(std::uint32_t cookie) {
  ByteWriter attributes;
  attributes.u16_be(0x8008).u16_be(0).u16_be(0).u16_be(1);
  attributes.u16_be(0x8008).u16_be(0).u16_be(2).u16_be(0x0100);
  attributes.u16_be(0x800a).u16_be(0).u16_be(3).u32_be(3);
  attributes.u16_be(0x800a).u16_be(0).u16_be(7).bytes(text("drpf"));
  attributes.u16_be(0x8008).u16_be(0).u16_be(9).u16_be(static_cast<std::uint16_t>(cookie | 1));
  ByteWriter out;
  out.u16_be(0xc802).u16_be(static_cast<std::uint16_t>(12 + attributes.size())).zeros(8);
  return out.bytes(attributes.view()).take();
}

// RFC 5997: Status-Server. Only who shares the secret can sign it, so a server that is strict about that stays silent.
Bytes radius(std::uint32_t cookie) {
  ByteWriter out;
  out.u8(12).u8(static_cast<std::uint8_t>(cookie)).u16_be(38).u32_be(cookie).u32_be(~cookie).u32_be(cookie).u32_be(~cookie);
  return out.u8(80).u8(18).zeros(16).take();
}

// UPnP Device Architecture 1.1 section 1.3.2, sent to one host.
Bytes ssdp(std::uint32_t) {
  return text("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n");
}

// RFC 8489 section 5: binding request.
Bytes stun(std::uint32_t cookie) {
  return ByteWriter().u16_be(1).u16_be(0).u32_be(0x2112a442).u32_be(cookie).u32_be(~cookie).u32_be(cookie).take();
}

// WS-Discovery 1.1 section 5.2: Probe for anything.
Bytes ws_discovery(std::uint32_t cookie) {
  return text(fmt::format(
      "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" "
      "xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header>"
      "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"
      "<a:MessageID>urn:uuid:{:08x}-0000-4000-8000-000000000000</a:MessageID>"
      "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></e:Header><e:Body><d:Probe/></e:Body></e:Envelope>",
      cookie));
}

// RFC 3261 section 11, and 18.2.2 with RFC 3581: answered to where it came from.
Bytes sip(std::uint32_t cookie) {
  return text(
      fmt::format("OPTIONS sip:drpf.invalid SIP/2.0\r\nVia: SIP/2.0/UDP drpf.invalid;branch=z9hG4bK{0:08x};rport\r\nMax-Forwards: 0\r\n"
                  "From: <sip:drpf@drpf.invalid>;tag={0:08x}\r\nTo: <sip:drpf.invalid>\r\nCall-ID: {0:08x}@drpf.invalid\r\n"
                  "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
                  cookie));
}

// RFC 6886 section 3.2: the public address; a server of PCP alone answers with its version (RFC 6887 section 9).
Bytes nat_pmp(std::uint32_t) { return ByteWriter().u16_be(0).take(); }

// RFC 7252 section 3 and RFC 6690 section 4: which resources there are.
Bytes coap(std::uint32_t cookie) {
  return ByteWriter()
      .u8(0x40)
      .u8(1)
      .u16_be(static_cast<std::uint16_t>(cookie))
      .u8(0xbb)
      .bytes(text(".well-known"))
      .u8(0x04)
      .bytes(text("core"))
      .take();
}

// BEP 5: ping; the id is no node's.
Bytes bittorrent_dht(std::uint32_t cookie) { return text(fmt::format("d1:ad2:id20:drpf{:08x}00000000e1:q4:ping1:t2:dr1:y1:qe", cookie)); }

// memcached's protocol.txt, "UDP protocol": request id, sequence, number of datagrams, reserved; then the command.
Bytes memcached(std::uint32_t cookie) {
  return ByteWriter().u16_be(static_cast<std::uint16_t>(cookie)).u16_be(0).u16_be(1).u16_be(0).bytes(text("version\r\n")).take();
}

// Valve's server queries, A2S_INFO.
Bytes source_engine(std::uint32_t) { return joined({Bytes(4, 0xff), text("TSource Engine Query"), Bytes(1)}); }

struct Service {
  std::uint16_t port;
  Bytes (*request)(std::uint32_t cookie);
};

// By port, ascending.
constexpr Service services[] = {
    {7, any_datagram},
    {13, any_datagram},
    {17, any_datagram},
    {19, any_datagram},
    {37, any_datagram},
    {53, dns},
    {67, dhcp},
    {69, tftp},
    {111, port_mapper},
    {123, ntp},
    {137, netbios_name},
    {161, snmp},
    {177, xdmcp},
    {389, ldap},
    {443, quic},
    {500, ike},
    {520, rip},
    {554, rtsp},
    {623, rmcp},
    {1194, openvpn},
    {1434, sql_server},
    {1645, radius},
    {1701, l2tp},
    {1812, radius},
    {1813, radius},
    {1900, ssdp},
    {2049, nfs},
    {3478, stun},
    {3702, ws_discovery},
    {4500, ike_behind_nat},
    {5060, sip},
    {5351, nat_pmp},
    {5353, multicast_dns},
    {5683, coap},
    {6881, bittorrent_dht},
    {11211, memcached},
    {27015, source_engine},
};
static_assert(std::ranges::is_sorted(services, {}, &Service::port));

const Service* service_at(std::uint16_t port) {
  const auto* found = std::ranges::lower_bound(services, port, {}, &Service::port);
  return found != std::end(services) && found->port == port ? found : nullptr;
}

}  // namespace

Bytes udp_payload(std::uint16_t port, std::uint32_t cookie) {
  const auto* service = service_at(port);
  return service == nullptr ? Bytes{} : service->request(cookie);
}

bool has_udp_payload(std::uint16_t port) { return service_at(port) != nullptr; }
bool answers_from_another_port(std::uint16_t port) { return port == 69; }
bool silent_by_design(std::uint16_t port) { return port == 51820; }

}  // namespace drpf::scan
