#include "client/lease_requests.h"

#include <map>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "net/http_client.h"

namespace drpf::client {
namespace {

namespace json = boost::json;

Error malformed() {
  return failure("bad_report", "the gateway's answer about a lease is not understood",
                 "Is the gateway's drpf newer or older than this one?");
}

std::string_view protocol_word(bool tcp, bool udp) { return tcp && udp ? "both" : tcp ? "tcp" : "udp"; }

std::string_view text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

std::optional<Port> port_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 1 || value->get_int64() > 65535) return std::nullopt;
  return Port{static_cast<std::uint16_t>(value->get_int64())};
}

// It becomes a part of a path, and is printed.
bool is_host_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
}

// What the gateway refuses, as it says it.
Error refused(const net::ClientResponse& response) {
  std::string code = "gateway_refused";
  auto message = fmt::format("the gateway answered {}", response.status);
  std::string cure;
  boost::system::error_code error;
  const auto value = json::parse(response.body, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* inner = object == nullptr ? nullptr : object->if_contains("error");
  if (inner != nullptr && inner->is_object()) {
    const auto printable = [](std::string_view text) {
      std::string out;
      for (const char c : text.substr(0, 500)) out += c >= 0x20 && c < 0x7f ? c : '?';
      return out;
    };
    if (const auto said = text_of(inner->get_object(), "code"); !said.empty()) code = printable(said);
    if (const auto said = text_of(inner->get_object(), "message"); !said.empty()) message = printable(said);
    cure = printable(text_of(inner->get_object(), "cure"));
  }
  return refusal(std::move(code), std::move(message), std::move(cure));
}

Result<FollowLease> post(const net::HttpClient& client, Port local_port, bool tcp, bool udp, const std::optional<OwnPort>& on) {
  json::object body;
  body["local_port"] = local_port.value();
  body["protocol"] = protocol_word(tcp, udp);
  body["lifetime_s"] = follow_lifetime.count();
  if (on) {
    body["port"] = on->port.value();
    if (!on->host.empty()) body["host"] = on->host;
  }
  const auto response = client.request("POST", "/v1/self/leases", json::serialize(body));
  if (!response) return fail(response.error());
  if (response->status >= 300) return fail(refused(*response));
  return parse_given_leases(response->body, local_port);
}

}  // namespace

Result<FollowLease> parse_given_leases(std::string_view text, Port local_port) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error || !value.is_array()) return fail(malformed());
  std::optional<FollowLease> lease;
  for (const auto& item : value.get_array()) {
    if (!item.is_object()) return fail(malformed());
    const auto& object = item.get_object();
    const auto public_port = port_of(object, "public_port");
    const auto protocol = parse_protocol(text_of(object, "protocol"));
    if (!public_port || !protocol || !is_host_name(text_of(object, "host"))) return fail(malformed());
    if (port_of(object, "local_port") != local_port || (lease && lease->public_port != *public_port)) continue;
    if (!lease) {
      lease.emplace();
      lease->host = text_of(object, "host");
      lease->public_port = *public_port;
      lease->local_port = local_port;
    }
    (*protocol == Protocol::tcp ? lease->tcp : lease->udp) = true;
    const auto address = parse_address(text_of(object, "public_address"));
    if (address && (lease->public_address.is_unspecified() || address->is_v4())) lease->public_address = *address;
  }
  if (!lease) return fail(malformed());
  return *lease;
}

std::optional<OwnPort> spare_port(std::string_view self_json, const std::set<Port>& in_use) {
  boost::system::error_code error;
  const auto value = json::parse(self_json, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* leases = object == nullptr ? nullptr : object->if_contains("leases");
  if (leases == nullptr || !leases->is_array()) return std::nullopt;
  // A port of which one protocol leads elsewhere serves somebody already.
  std::map<std::pair<Port, std::string>, bool> to_itself;
  for (const auto& item : leases->get_array()) {
    if (!item.is_object()) continue;
    const auto& lease = item.get_object();
    const auto port = port_of(lease, "public_port");
    const auto host = text_of(lease, "host");
    if (!port || !is_host_name(host)) continue;
    const bool fits = text_of(lease, "kind") == "automatic" && text_of(lease, "state") == "active" &&
                      port_of(lease, "local_port") == port && !in_use.contains(*port);
    const auto [found, is_new] = to_itself.try_emplace({*port, std::string(host)}, fits);
    if (!is_new) found->second = found->second && fits;
  }
  for (auto one = to_itself.rbegin(); one != to_itself.rend(); ++one)
    if (one->second) return OwnPort{one->first.second, one->first.first};
  return std::nullopt;
}

Result<FollowLease> ask_for_port(const GatewayDoor& door, const FollowJob& job) {
  const auto client = gateway_client(door, gateway_request_time_max);
  const auto& wish = job.wish;
  const bool tcp = wish.tcp || (job.lease && job.lease->tcp);
  const bool udp = wish.udp || (job.lease && job.lease->udp);
  if (job.lease) {
    auto again = post(client, wish.port, tcp, udp, OwnPort{job.lease->host, job.lease->public_port});
    if (again || again.error().kind != Error::Kind::refusal) return again;
  }
  auto any = post(client, wish.port, tcp, udp, std::nullopt);
  if (any || any.error().code != "quota_exhausted") return any;
  const auto self = client.request("GET", "/v1/self");
  const auto spare = self && self->status == 200 ? spare_port(self->body, job.in_use) : std::nullopt;
  if (!spare) return any;
  return post(client, wish.port, tcp, udp, spare);
}

Status give_port_back(const GatewayDoor& door, const FollowLease& lease) {
  const auto client = gateway_client(door, gateway_request_time_max);
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    if (protocol == Protocol::tcp ? !lease.tcp : !lease.udp) continue;
    const auto response =
        client.request("DELETE", fmt::format("/v1/self/leases/{}/{}/{}", lease.host, to_string(protocol), to_string(lease.public_port)));
    if (!response) return fail(response.error());
    if (response->status < 300 || response->status == 404) continue;
    auto why = refused(*response);
    if (why.code != "lease_not_requested") return fail(std::move(why));
    const bool tcp = protocol == Protocol::tcp;
    if (const auto back = post(client, lease.public_port, tcp, !tcp, OwnPort{lease.host, lease.public_port}); !back)
      return fail(back.error());
  }
  return {};
}

}  // namespace drpf::client
