#include "client/follow/lease_requests.h"

#include <memory>
#include <utility>

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

// As the gateway gives it: a port that this device's programs have for that already, or one that it holds and does not use, or a new one.
struct Asked {
  Port local_port;
  bool tcp = false;
  bool udp = false;
  std::optional<Port> suggested_port;
  bool only_suggested = false;
  std::set<Port> avoid;
  std::chrono::seconds lifetime{};
};

net::Watch post(net::EventLoop& loop, const GatewayDoor& door, const Asked& asked, std::function<void(Result<FollowLease>)> given) {
  json::object body;
  body["local_port"] = asked.local_port.value();
  body["protocol"] = protocol_word(asked.tcp, asked.udp);
  body["lifetime_s"] = asked.lifetime.count();
  if (!asked.avoid.empty()) body["avoid"] = comma_separated({asked.avoid.begin(), asked.avoid.end()});
  if (asked.suggested_port) body[asked.only_suggested ? "port" : "suggested_port"] = asked.suggested_port->value();
  net::ClientRequest request;
  request.method = "POST";
  request.target = "/v1/self/leases";
  request.body = json::serialize(body);
  return gateway_client(door, gateway_request_time_max)
      .request(loop, request, [given = std::move(given), port = asked.local_port](const Result<net::ClientResponse>& response) {
        if (!response) return given(fail(response.error()));
        if (response->status >= 300) return given(fail(refused(*response)));
        given(parse_given_leases(response->body, port));
      });
}

Status given_back(const Result<net::ClientResponse>& response) {
  if (!response) return fail(response.error());
  if (response->status < 300 || response->status == 404) return {};
  auto why = refused(*response);
  if (why.code == "lease_not_requested") return {};  // it has ended, and the port leads to its own number again
  return fail(std::move(why));
}

net::Watch give_back(net::EventLoop& loop, const GatewayDoor& door, const std::string& host, Protocol protocol, Port public_port,
                     std::function<void(Status)> done) {
  net::ClientRequest request;
  request.method = "DELETE";
  request.target = fmt::format("/v1/self/leases/{}/{}/{}", host, to_string(protocol), to_string(public_port));
  return gateway_client(door, gateway_request_time_max)
      .request(loop, request, [done = std::move(done)](const Result<net::ClientResponse>& response) { done(given_back(response)); });
}

// One protocol after the other, until one fails.
struct GivingBack final : net::Watch::State, std::enable_shared_from_this<GivingBack> {
  GivingBack(net::EventLoop& on, GatewayDoor at, FollowLease what) : loop(on), door(std::move(at)), lease(std::move(what)) {}
  void cancel() override { request.cancel(); }
  void go_on() {
    const auto protocol = lease.tcp ? Protocol::tcp : Protocol::udp;
    request = give_back(loop, door, lease.host, protocol, lease.public_port, [self = shared_from_this(), protocol](const Status& status) {
      (protocol == Protocol::tcp ? self->lease.tcp : self->lease.udp) = false;
      if (status && self->lease.udp) return self->go_on();
      std::exchange(self->done, nullptr)(status);
    });
  }
  net::EventLoop& loop;
  GatewayDoor door;
  FollowLease lease;  // what is still to be given back of it
  std::function<void(Status)> done;
  net::Watch request;
};

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

net::Watch ask_for_port(net::EventLoop& loop, const GatewayDoor& door, const FollowJob& job,
                        std::function<void(Result<FollowLease>)> given) {
  Asked asked;
  asked.local_port = job.wish.port;
  asked.tcp = job.wish.tcp || (job.lease && job.lease->tcp);
  asked.udp = job.wish.udp || (job.lease && job.lease->udp);
  if (job.lease) asked.suggested_port = job.lease->public_port;
  asked.avoid = job.in_use;
  asked.lifetime = follow_lifetime;
  return post(loop, door, asked, std::move(given));
}

net::Watch give_port_back(net::EventLoop& loop, const GatewayDoor& door, const FollowLease& lease, std::function<void(Status)> done) {
  auto giving = std::make_shared<GivingBack>(loop, door, lease);
  giving->done = std::move(done);
  giving->go_on();
  return net::Watch(std::move(giving));
}

net::Watch ask_for_relay(net::EventLoop& loop, const GatewayDoor& door, const RelayAsk& ask,
                         std::function<void(Result<RelayLease>)> given) {
  Asked asked;
  asked.local_port = ask.relay_port;
  (ask.protocol == Protocol::tcp ? asked.tcp : asked.udp) = true;
  asked.suggested_port = ask.suggested_port;
  asked.only_suggested = ask.only_suggested;
  asked.avoid = {ask.avoid.begin(), ask.avoid.end()};
  asked.lifetime = ask.lifetime;
  return post(loop, door, asked, [given = std::move(given), protocol = ask.protocol](const Result<FollowLease>& lease) {
    if (!lease) return given(fail(lease.error()));
    given(RelayLease{lease->host, lease->public_address, protocol, lease->public_port});
  });
}

net::Watch give_relay_back(net::EventLoop& loop, const GatewayDoor& door, const RelayLease& lease, std::function<void(Status)> done) {
  return give_back(loop, door, lease.host, lease.protocol, lease.public_port, std::move(done));
}

}  // namespace drpf::client
