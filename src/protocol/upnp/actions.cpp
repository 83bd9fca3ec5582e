#include "protocol/upnp/actions.h"

#include "protocol/upnp/action_call.h"

namespace drpf::protocol::upnp {
namespace {

std::string counter(std::uint64_t value) { return std::to_string(static_cast<std::uint32_t>(value)); }  // ui4: it goes round

Actions::Outcome forwarding(const ActionCall& call) {
  if (call.call.action == "GetDefaultConnectionService")
    return call.answer(
        {{"NewDefaultConnectionService", ":WANConnectionDevice:" + std::to_string(call.call.service.version) +
                                             ",urn:upnp-org:serviceId:" + std::string(service_of(ServiceKind::wan_ip_connection).id)}});
  return Fault::not_authorized;
}

Actions::Outcome link(const ActionCall& call, const Link& state) {
  const auto& action = call.call.action;
  if (action == "GetCommonLinkProperties")
    return call.answer({{"NewWANAccessType", "Ethernet"},
                        {"NewLayer1UpstreamMaxBitRate", std::to_string(Actions::bit_rate)},
                        {"NewLayer1DownstreamMaxBitRate", std::to_string(Actions::bit_rate)},
                        {"NewPhysicalLinkStatus", "Up"}});
  if (action == "GetTotalBytesSent") return call.answer({{"NewTotalBytesSent", counter(state.bytes_sent)}});
  if (action == "GetTotalBytesReceived") return call.answer({{"NewTotalBytesReceived", counter(state.bytes_received)}});
  return Fault::invalid_action;
}

}  // namespace

void Actions::perform(const Call& call, const Address& source, const port_mapping::Client& client, Done done) const {
  const ActionCall action{mappings_, call, source, client};
  const auto state = link_ ? link_(source) : Link{};
  switch (call.service.service->kind) {
    case ServiceKind::layer3_forwarding:
      return done(forwarding(action));
    case ServiceKind::wan_common_interface:
      return done(link(action, state));
    case ServiceKind::wan_ip_connection:
      return perform_on_connection(action, state.uptime, std::move(done));
    case ServiceKind::wan_ipv6_firewall:
      return perform_on_firewall(action, std::move(done));
  }
  done(Fault::invalid_action);
}

std::string lifetime_text(Duration lifetime) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
  return std::to_string(std::max<std::int64_t>(seconds, 1));
}

Fault fault_of(const Error& error, Fault no_ports_left, Fault about_port) {
  if (!is_askers(error.kind)) return Fault::action_failed;
  if (error.code == "quota_exhausted" || error.code == "pool_exhausted" || error.code == "no_contiguous_range") return no_ports_left;
  if (error.code == "not_connected" || error.code == "account_suspended" || error.code == "nonce_mismatch") return Fault::not_authorized;
  return about_port;
}

std::string kept_description(std::string_view text) {
  std::string out(text.substr(0, lease::Mapping::description_max));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace drpf::protocol::upnp
