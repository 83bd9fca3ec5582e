#include "protocol/upnp/server.h"

#include <algorithm>
#include <memory>

namespace drpf::protocol::upnp {
namespace {

constexpr unsigned bad_request = 400;
constexpr unsigned forbidden = 403;
constexpr unsigned no_such_path = 404;
constexpr unsigned wrong_method = 405;
constexpr unsigned precondition_failed = 412;
constexpr unsigned too_large = 413;
constexpr unsigned server_error = 500;  // every SOAP fault (UPnP Device Architecture 2.0 section 3.2.2)
constexpr unsigned too_busy = 503;

HttpResponse refused(unsigned status) { return {status, {}}; }

// A web page of another site can let its own name point here (DNS rebinding); then the name stands in the Host header.
bool is_address(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) return parse_address(host.substr(1, host.size() - 2)).has_value();
  return parse_address(host).has_value() || parse_endpoint(host).has_value();
}

const Service* service_at(std::string_view word) {
  const auto all = services();
  const auto found = std::find_if(all.begin(), all.end(), [word](const Service& service) { return service.path == word; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

void Server::handle(const HttpRequest& request, Time now, Respond respond) {
  const auto refuse = [&](unsigned status) {
    ++counters_->refused;
    respond(refused(status));
  };
  // Programs never send Origin, browsers cannot help it.
  if (!is_address(request.host) || !request.origin.empty()) return refuse(forbidden);
  const auto client = mappings_.client(request.source);
  if (!client) {
    ++counters_->strangers;
    return respond(refused(forbidden));
  }
  if (!request_pace_.allow(request.source, now)) {
    ++counters_->held_back;
    return respond(refused(too_busy));
  }
  if (request.method == "GET" || request.method == "HEAD") return respond(document(request));
  // No events: a subscription makes the gateway send to addresses that somebody else chose (CallStranger, CVE-2020-12695).
  if (request.method == "SUBSCRIBE" || request.method == "UNSUBSCRIBE") return refuse(precondition_failed);
  if (request.method != "POST") return refuse(wrong_method);
  if (request.body.size() > soap_body_max) return refuse(too_large);
  if (request.path.size() != 3 || request.path[1] != "control" || !service_at(request.path[2])) return refuse(no_such_path);
  control(request, *client, std::move(respond));
}

HttpResponse Server::document(const HttpRequest& request) const {
  const auto& path = request.path;
  if (path.size() == 1) return {200, device_description(identity_, version_for(request.user_agent))};
  const bool first_version = path[1] == "v1";
  const auto version = first_version ? Version::v1 : Version::v2;
  if (first_version && path.size() == 2) return {200, device_description(identity_, version)};
  constexpr std::string_view suffix = ".xml";
  if (path.size() != (first_version ? 3U : 2U) || !path.back().ends_with(suffix)) return refused(no_such_path);
  const auto* service = service_at(std::string_view(path.back()).substr(0, path.back().size() - suffix.size()));
  return service ? HttpResponse{200, service_description(*service, version)} : refused(no_such_path);
}

void Server::control(const HttpRequest& request, const port_mapping::Client& client, Respond respond) {
  // A browser must ask before it sends this header to another site, and is refused; so no web page can map a port.
  if (request.soap_action.empty()) {
    ++counters_->refused;
    return respond(refused(bad_request));
  }
  const auto answer_fault = [counters = counters_](Fault fault) {
    ++counters->faults;
    return HttpResponse{server_error, write_fault(fault)};
  };
  const auto action = read_soap_action(request.soap_action);
  if (!action || action->service.service != service_at(request.path[2]) || !action->service.service->action(action->name))
    return respond(answer_fault(Fault::invalid_action));
  const auto call = read_call(*action, request.body);
  if (!call) {
    ++counters_->refused;
    return respond(refused(bad_request));
  }
  ++counters_->actions;
  actions_.perform(*call, request.source, client, [respond = std::move(respond), answer_fault](std::variant<std::string, Fault> outcome) {
    if (const auto* fault = std::get_if<Fault>(&outcome)) return respond(answer_fault(*fault));
    respond({200, std::move(std::get<std::string>(outcome))});
  });
}

std::vector<std::string> Server::search(std::string_view datagram, const Address& source, const Endpoint& gateway, Time now) {
  if (!mappings_.client(source)) {
    ++counters_->strangers;
    return {};
  }
  const auto target = read_search(datagram);
  if (!target) return {};
  ++counters_->searches;
  auto answers = search_answers(*target, datagram.size(), identity_, gateway);
  const auto held_back = std::find_if(answers.begin(), answers.end(), [&](const auto&) { return !answer_pace_.allow(source, now); });
  counters_->held_back += static_cast<std::uint64_t>(answers.end() - held_back);
  answers.erase(held_back, answers.end());
  counters_->search_answers += answers.size();
  return answers;
}

}  // namespace drpf::protocol::upnp
