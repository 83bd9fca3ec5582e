#include "client/share/lan_share.h"

#include <net/if.h>

#include <utility>

#include <fmt/format.h>

#include "protocol/nat_pmp/messages.h"
#include "protocol/pcp/messages.h"
#include "system/links_and_routes.h"

namespace drpf::client {
namespace {

constexpr Port http_port{gateway_api_port};
constexpr Address all_hosts =
    Address::v4(0xe000'0001);  // 224.0.0.1, where both protocols announce (RFC 6886 section 3.2.1, RFC 6887 section 14.1)

net::HttpLimits http_limits() {
  net::HttpLimits limits;
  limits.body_bytes = 16 * 1024;
  limits.connections = 64;
  limits.connections_per_peer = 8;
  return limits;
}

}  // namespace

Status LanShare::Redirect::put(const RelayRedirection& redirection, Duration lifetime) {
  if (kernel) return kernel->put(redirection, lifetime);
  return fail(failure("not_shared", "the network is not shared at present"));
}

Status LanShare::Redirect::remove(const RelayRedirection& redirection) { return kernel ? kernel->remove(redirection) : Status{}; }

LanShare::LanShare(net::EventLoop& loop, const Clock& clock, Screen& screen, LanShareSettings settings)
    : loop_(loop),
      clock_(clock),
      screen_(screen),
      settings_(std::move(settings)),
      started_(clock.now()),
      upstream_(loop, settings_.gateway),
      mappings_(
          upstream_, redirect_, clock, [this](const Address& address) { return network_.is_neighbour(address); }, settings_.is_in_use),
      upnp_(mappings_, settings_.identity,
            [this](const Address&) {
              protocol::upnp::Link link;
              link.uptime = clock_.now() - started_;
              return link;
            }),
      sockets_(mappings_, {}, [this](const Address& source) { return network_.is_neighbour(source) && pace_.allow(source, clock_.now()); }),
      upnp_sockets_(
          upnp_, [&clock] { return clock.now(); }, http_port,
          [this](const Address& neighbour) { return network_.own_address(neighbour); }) {
  mappings_.on_change([this] { announce(); });
  mappings_.on_news([this](bool opened, const RelayLease& lease, const Endpoint& machine) { show(opened, lease, machine); });
  tick();
}

LanShare::~LanShare() {
  mappings_.on_change({});
  close();
}

LanNetwork LanShare::look() const {
  LanNetwork network;
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return network;
  const auto link = kernel->link(settings_.lan);
  const auto addresses = kernel->addresses_of(settings_.lan);
  if (!link || !link->up || !addresses) return network;
  network.index = static_cast<unsigned>(link->index);
  for (const auto& address : *addresses)
    if (address.address.is_v4()) network.own.emplace_back(address.address, Prefix(address.address, address.prefix_length));
  return network;
}

void LanShare::tick() {
  auto now = look();
  if (now != network_) {
    if (is_open_) screen_.note(fmt::format("{} has changed: what its machines had mapped has ended", settings_.lan));
    close();
    network_ = std::move(now);
    told_.clear();
  }
  if (!is_open_) {
    const auto opened = open();
    is_open_ = opened.has_value();
    if (!opened) close();
    if (!opened && told_ != opened.error().message) screen_.error(opened.error());
    told_ = opened ? std::string() : opened.error().message;
  } else {
    keep();
  }
  mappings_.tick();
}

void LanShare::keep() {
  const auto mended = redirect_.kernel->keep();
  if (!mended) {
    if (std::exchange(told_, mended.error().message) != mended.error().message) screen_.error(mended.error());
    return;
  }
  told_.clear();
  if (!*mended) return;
  mappings_.put_again();
  screen_.note(fmt::format("repaired: the rules for sharing with {}", settings_.lan));
}

Status LanShare::open() {
  if (!network_.is_usable())
    return fail(failure("lan_absent", fmt::format("{} is not there, not up, or has no IPv4 address: nothing is shared yet", settings_.lan),
                        "it is shared as soon as it is there: ip address show " + settings_.lan));
  LanWish wish;
  wish.tunnel = settings_.gateway.interface;
  wish.tunnel_v4 = settings_.gateway.own;
  wish.lan = settings_.lan;
  wish.networks = network_.networks();
  wish.forwards_already = LanRedirect::forwards(settings_.lan);
  wish.hide_visitors = network_.has(settings_.outer_source ? settings_.outer_source() : std::nullopt);
  auto kernel = LanRedirect::start(wish, settings_.note_path);
  if (!kernel) return fail(kernel.error());
  redirect_.kernel.emplace(std::move(*kernel));
  if (auto opened = sockets_.open(loop_, settings_.lan, true, false); !opened) return opened;
  auto http = net::HttpServer::listen_tcp(
      loop_, Endpoint{Address::v4(0), http_port},
      [this](const net::Request& request, const net::Respond& respond) {
        if (net::UpnpSockets::is_for(request)) return upnp_sockets_.handle(request, respond);
        net::Response none;
        none.status = 404;
        none.content_type = "text/plain";
        respond(std::move(none));
      },
      http_limits(), settings_.lan);
  if (!http) return fail(http.error());
  http_ = std::move(*http);
  if (auto opened = upnp_sockets_.open(loop_, settings_.lan, true, false); !opened)
    screen_.note(fmt::format("programs on {} do not find UPnP by a search: {}", settings_.lan, opened.error().message));
  screen_.note(fmt::format("shared with {} ({}) by NAT-PMP, PCP and UPnP{}", settings_.lan, to_string(network_.own.front().first),
                           wish.hide_visitors ? "; visitors appear there under this machine's address, since it is not the router" : ""));
  return {};
}

void LanShare::close() {
  mappings_.end_all();
  sockets_.close();
  upnp_sockets_.close();
  http_.reset();
  redirect_.kernel.reset();
  if (const auto cleared = LanRedirect::clear(settings_.gateway.interface, settings_.note_path); !cleared) screen_.error(cleared.error());
  is_open_ = false;
}

void LanShare::reported(const Report& report) {
  external_v4_ = report.public_v4;
  mappings_.reported(report.ports, report.public_v4);
}

void LanShare::announce() {
  if (!is_open_) return;
  for (const auto& [here, network] : network_.own) {
    const Endpoint to{all_hosts, net::PortMappingSockets::announce_port};
    if (external_v4_) sockets_.send(to, here, protocol::nat_pmp::external_address_response(mappings_.epoch_s(), *external_v4_));
    sockets_.send(to, here, protocol::pcp::announce_response(mappings_.epoch_s()));
  }
}

void LanShare::show(bool opened, const RelayLease& lease, const Endpoint& machine) {
  screen_.shared(opened, lease.protocol, {lease.public_address, lease.public_port}, machine, clock_.wall_now());
}

}  // namespace drpf::client
