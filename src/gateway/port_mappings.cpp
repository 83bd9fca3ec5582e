#include "gateway/port_mappings.h"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace drpf::gateway {

using protocol::port_mapping::Client;
using protocol::port_mapping::Ending;
using protocol::port_mapping::Mapped;
using protocol::port_mapping::Wish;

namespace {

using Told = std::function<void(std::string_view result)>;

std::string act_of(const Wish& wish) {
  auto act = fmt::format("{} map {} {}", to_string(wish.door), to_string(wish.protocol), to_string(wish.internal_port));
  if (!wish.suggested_port.is_zero()) act += fmt::format(" suggested_port={}", to_string(wish.suggested_port));
  if (wish.count > 1) act += fmt::format(" count={}", wish.count);
  return act + (wish.while_connected
                    ? std::string(" while connected")
                    : fmt::format(" lifetime_s={}", std::chrono::duration_cast<std::chrono::seconds>(wish.lifetime).count()));
}

std::string act_of(const Ending& ending) {
  auto act = fmt::format("{} end", ending.door ? to_string(*ending.door) : "port mapping");
  if (ending.protocol) act += fmt::format(" {}", to_string(*ending.protocol));
  if (ending.internal_port) act += fmt::format(" {}", to_string(*ending.internal_port));
  if (ending.external_ports) act += fmt::format(" port={}", to_string(*ending.external_ports));
  return act;
}

// One line for each request that changes something, as the API has them; programs renew, so it is below what is written by default.
template <class Request>
Told audited(const std::shared_ptr<spdlog::logger>& log, const lease::Device& device, const Request& request) {
  if (!log->should_log(spdlog::level::debug)) return [](std::string_view) {};
  return [log, who = device.name, act = act_of(request)](std::string_view result) {
    log->debug("audit: device {}: {}: {}", who, act, result);
  };
}

tl::unexpected<Error> stranger(const Address& address) {
  return fail(not_found("device_unknown", "no device of this gateway has the address " + to_string(address), "ask through the tunnel"));
}

}  // namespace

std::optional<Client> PortMappings::client(const Address& source) const {
  const auto* device = gateway_.book().device_at(source);
  if (!device) return std::nullopt;
  const auto* host = gateway_.book().host_of(device->id);
  Client client;
  if (host) client.external_v4 = host->v4;
  if (host) client.external_v6 = host->v6;
  client.inside_v4 = device->tunnel_v4;
  client.inside_v6 = device->tunnel_v6;
  return client;
}

std::uint32_t PortMappings::epoch_s() const {
  const auto since = gateway_.now() - gateway_.book().epoch_started();
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(std::max(since, Duration::zero())).count());
}

Mapped PortMappings::mapped(const lease::Lease& lease) const {
  Mapped mapped;
  mapped.protocol = lease.on.protocol;
  mapped.internal_port = lease.mapping->internal_port;
  mapped.external_port = lease.on.port;
  mapped.local_port = lease.local_port;
  if (const auto* host = gateway_.book().host(lease.on.host)) {
    mapped.external_v4 = host->v4;
    mapped.external_v6 = host->v6;
  }
  // Rounded: the time that deciding took is nobody's loss.
  mapped.lifetime = std::chrono::round<std::chrono::seconds>(std::max(lease.deadline - gateway_.now(), Duration::zero()));
  mapped.door = lease.mapping->door;
  mapped.nonce = lease.mapping->nonce;
  mapped.description = lease.mapping->description;
  return mapped;
}

std::vector<Mapped> PortMappings::mappings_of(const Address& client) const {
  std::vector<Mapped> found;
  const auto* device = gateway_.book().device_at(client);
  if (!device) return found;
  for (const auto* lease : gateway_.book().mappings_of(device->id)) found.push_back(mapped(*lease));
  std::sort(found.begin(), found.end(), [](const Mapped& a, const Mapped& b) {
    return std::pair(a.external_port, a.protocol) < std::pair(b.external_port, b.protocol);
  });
  return found;
}

void PortMappings::map(const Wish& wish, WhenMapped done) {
  const auto* device = gateway_.book().device_at(wish.client);
  if (!device) return done(stranger(wish.client));
  lease::MappingRequest request;
  request.device = device->id;
  request.protocol = wish.protocol;
  request.internal_port = wish.internal_port;
  if (!wish.suggested_port.is_zero()) request.suggested_port = wish.suggested_port;
  request.only_suggested = wish.only_suggested;
  request.to_public_number = wish.to_public_number;
  request.count = wish.count;
  request.lifetime = wish.lifetime;
  request.while_connected = wish.while_connected;
  request.door = wish.door;
  request.nonce = wish.nonce;
  request.description = wish.description;
  const auto told = audited(log_, *device, wish);
  auto leases = gateway_.stage(request);
  if (!leases) {
    told(leases.error().code);
    note_refusal(*device, wish.door, leases.error());
    return done(fail(std::move(leases.error())));
  }
  std::vector<Mapped> answer;
  for (const auto& lease : *leases) answer.push_back(mapped(lease));
  waiting_.push_back({std::move(*leases), [done = std::move(done), answer = std::move(answer), told](const Status& committed) {
                        told(committed ? "ok, port " + to_string(answer.front().external_port) : committed.error().code);
                        if (committed)
                          done(answer);
                        else
                          done(fail(committed.error()));
                      }});
  if (!batched_) finish();
}

void PortMappings::end(const Ending& ending, WhenEnded done) {
  const auto* device = gateway_.book().device_at(ending.client);
  if (!device) return done(stranger(ending.client));
  lease::MappingEnd end;
  end.device = device->id;
  end.protocol = ending.protocol;
  end.internal_port = ending.internal_port;
  end.public_ports = ending.external_ports;
  end.door = ending.door;
  end.nonce = ending.nonce;
  const auto told = audited(log_, *device, ending);
  auto ended = gateway_.stage(end);
  if (!ended) {
    told(ended.error().code);
    return done(fail(std::move(ended.error())));
  }
  waiting_.push_back({{}, [done = std::move(done), count = *ended, told](const Status& committed) {
                        told(committed ? fmt::format("ok, {} ended", count) : committed.error().code);
                        if (committed)
                          done(count);
                        else
                          done(fail(committed.error()));
                      }});
  if (!batched_) finish();
}

void PortMappings::together(const std::function<void()>& requests) {
  batched_ = true;
  requests();
  finish();
}

void PortMappings::finish() {
  batched_ = false;
  if (waiting_.empty()) return;
  const auto committed = gateway_.commit_staged();
  // An answer may bring the next request.
  for (auto& waiting : std::exchange(waiting_, {})) {
    api::Settling settling = 0;
    if (committed && hold_)
      for (const auto& lease : waiting.granted) settling = std::max(settling, gateway_.settling(lease));
    if (settling == 0)
      waiting.answer(committed);
    else
      hold_(settling, [answer = std::move(waiting.answer)] { answer({}); });
  }
}

void PortMappings::note_refusal(const lease::Device& device, lease::Door door, const Error& error) {
  const auto now = gateway_.now();
  auto& logged = refusal_logged_.try_emplace(device.id, now - refusal_log_pause).first->second;
  if (now - logged < refusal_log_pause) return;
  logged = now;
  log_->info("{} from device {} refused: {}{}", to_string(door), device.name, error.message,
             error.cure.empty() ? "" : " (" + error.cure + ")");
}

}  // namespace drpf::gateway
