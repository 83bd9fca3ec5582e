// The part of BookExercise that asks for mappings as programs do, alone and several in one commit. Included by book_exercise.h only.
#pragma once

#include "support/book_exercise.h"

namespace drpf::lease::test {

inline void BookExercise::map() {
  if (const auto transaction = decide_mapping()) carry_out(*transaction);
}
inline void BookExercise::end_mappings() {
  if (const auto transaction = decide_end()) carry_out(*transaction);
}

// As the gateway does it: each is decided on the book with those before it, all are committed and carried out as one, or none is.
inline void BookExercise::map_together() {
  const auto book_before = book_.state();
  const auto naive_before = naive_;
  std::vector<Transaction> decisions;
  for (auto left = 2 + choose_(4); left > 0; --left) {
    auto decided = one_in(4) ? decide_end() : decide_mapping();
    if (!decided || decided->empty()) continue;
    book_.apply(*decided);
    decisions.push_back(std::move(*decided));
  }
  if (decisions.empty()) return;
  if (one_in(4)) {
    met_["the store refuses several mappings"]++;
    book_ = LeaseBook(book_.policy(), book_before);
    naive_ = naive_before;
    return;
  }
  met_["several mappings as one"]++;
  carry_out_applied(merge(decisions));
}

inline std::optional<Transaction> BookExercise::decide_mapping() {
  if (naive_.devices.empty()) return std::nullopt;
  MappingRequest request;
  request.device = any_device();
  request.protocol = one_in(2) ? Protocol::tcp : Protocol::udp;
  request.internal_port = Port{static_cast<std::uint16_t>(one_in(40)   ? 0
                                                          : one_in(40) ? 65535
                                                          : one_in(2)  ? 9999 + choose_(26)
                                                                       : 100 + choose_(4))};
  if (one_in(2)) request.suggested_port = one_in(40) ? Port{0} : any_public_port().port;
  request.only_suggested = one_in(3);
  request.to_public_number = one_in(4);
  request.count = static_cast<std::uint16_t>(one_in(4) ? choose_(6) : 1);
  request.lifetime = std::chrono::seconds(choose_(4000));
  request.while_connected = one_in(4);
  request.door = std::array{Door::nat_pmp, Door::pcp, Door::upnp, Door::api}[choose_(4)];
  request.nonce[0] = static_cast<std::uint8_t>(choose_(2));
  if (one_in(3)) request.description = "a program";
  auto decided = book_.map(request, now_);
  const auto& device = naive_.devices.at(request.device);
  if (const auto code = expected_code(request, device); !code.empty()) {
    expect_refused(code, decided);
    return std::nullopt;
  }
  if (request.internal_port.is_zero()) met_["a mapping known by its public number"]++;
  const bool exactly = request.suggested_port && request.only_suggested;
  auto existing = naive_.mapped(request.device, request.protocol, request.internal_port);  // none without an internal port
  if (exactly) std::erase_if(existing, [&](const PublicPort& on) { return on.port != *request.suggested_port; });
  if (!decided) {
    expect_no_port_for(request, decided.error().code, existing);
    return std::nullopt;
  }

  met_["map"]++;
  const auto& leases = decided->value;
  must(!leases.empty() && leases.size() <= request.count, "as many mappings as asked for, or fewer");
  must(!exactly || leases.front().on.port == *request.suggested_port, "on the port asked for and no other");
  must(existing.empty() || std::find(existing.begin(), existing.end(), leases.front().on) != existing.end(),
       "a mapping that is there is renewed");
  if (!existing.empty()) met_["a mapping again"]++;
  std::uint32_t more = 0;
  std::uint32_t fresh = 0;
  for (std::uint32_t i = 0; i < leases.size(); ++i) {
    const auto& on = leases[i].on;
    must(on.host == leases.front().on.host && on.port.value() == leases.front().on.port.value() + i && on.protocol == request.protocol,
         "the ports of one mapping are contiguous");
    const auto internal = request.internal_port.is_zero() ? on.port : Port{static_cast<std::uint16_t>(request.internal_port.value() + i)};
    const auto hold = naive_.holds.find({on.host, on.port});
    if (hold == naive_.holds.end()) {
      must(naive_.free_for({on.host, on.port}, device.account), "a program got a port that is not free");
      ++more;
      fresh += !naive_.rests.contains({on.host, on.port});
    } else {
      must(hold->second.device == request.device, "a program got a port of another device");
      must(naive_.is_mapped(request.device, on, request.protocol, internal) || naive_.is_available(request.device, on),
           "a program got a port that another one has, or that was set by hand");
    }
  }
  must(more == 0 || naive_.ports_held(device.account) + more <= naive_.plan(device.account).ports_max, "a mapping beyond the plan");
  must(naive_.rest_allows(device.account, fresh), "a mapping beyond what may rest");
  if (more > 0) met_["a mapping on a new port"]++;
  for (std::uint32_t i = 0; i < leases.size(); ++i) naive_.map_on(request, leases[i].on, i, now_);
  return std::move(decided->transaction);
}

inline std::optional<Transaction> BookExercise::decide_end() {
  if (naive_.devices.empty()) return std::nullopt;
  MappingEnd end;
  end.device = any_device();
  std::vector<PublicPort> own;
  for (const auto& on : naive_.leases_of(end.device))
    if (naive_.leases.at(on).mapping) own.push_back(on);
  if (!own.empty() && !one_in(4)) {
    const auto& on = own[choose_(static_cast<std::uint32_t>(own.size()))];
    if (!one_in(4)) end.protocol = on.protocol;
    if (!one_in(4)) end.internal_port = naive_.leases.at(on).mapping->internal_port;
    if (one_in(4)) end.public_ports = PortRange(on.port);
    if (one_in(4)) end.host = on.host;
  }
  if (one_in(4)) end.door = one_in(2) ? Door::pcp : Door::upnp;
  if (one_in(3)) end.nonce = Nonce{static_cast<std::uint8_t>(choose_(2))};
  auto decided = book_.end_mappings(end, now_);
  std::vector<PublicPort> ending;
  bool mismatch = false;
  for (const auto& on : own) {
    const auto& mapping = *naive_.leases.at(on).mapping;
    if ((end.protocol && *end.protocol != on.protocol) || (end.internal_port && *end.internal_port != mapping.internal_port) ||
        (end.public_ports && !end.public_ports->contains(on.port)) || (end.host && *end.host != on.host) ||
        (end.door && *end.door != mapping.door))
      continue;
    if (end.nonce && *end.nonce != mapping.nonce)
      mismatch = true;
    else
      ending.push_back(on);
  }
  if (ending.empty() && mismatch) {
    expect_refused("nonce_mismatch", decided);
    return std::nullopt;
  }
  accept(ending.empty() ? "no mapping to end" : end.internal_port ? "end of a mapping" : "end of many mappings", decided);
  must(decided->value == ending.size(), [&] { return fmt::format("{} mappings ended instead of {}", decided->value, ending.size()); });
  for (const auto& on : ending) naive_.end_mapping(on, now_);
  return std::move(decided->transaction);
}

inline std::string BookExercise::expected_code(const MappingRequest& request, const Device& device) const {
  if (naive_.accounts.at(device.account).suspended) return "account_suspended";
  if (!device.connected) return "not_connected";
  if ((request.internal_port.is_zero() && !request.to_public_number) || request.suggested_port == Port{0}) return "port_zero";
  if (request.count == 0 || request.internal_port.value() + request.count > 65536) return "request_empty";
  return "";
}

// Refused: then there was none to be had.
inline void BookExercise::expect_no_port_for(const MappingRequest& request, const std::string& code,
                                             const std::vector<PublicPort>& existing) {
  met_["no mapping: " + code]++;
  must(existing.empty(), "a mapping that is there was not renewed");
  const auto account = naive_.devices.at(request.device).account;
  const bool quota = naive_.ports_held(account) < naive_.plan(account).ports_max;
  for (const auto& [place, hold] : naive_.holds) {
    const PublicPort on{place.first, request.protocol, place.second};
    const auto twin = naive_.leases.find({on.host, on.protocol == Protocol::tcp ? Protocol::udp : Protocol::tcp, on.port});
    const bool mapped_otherwise = twin != naive_.leases.end() && twin->second.mapping;
    // One that was asked for by API for the other protocol alone is only given by its number.
    const bool is_offered = hold.kind == LeaseKind::automatic || mapped_otherwise || request.suggested_port == on.port;
    if (!is_offered || !naive_.is_available(request.device, on) || request.count != 1) continue;
    must(request.suggested_port && request.only_suggested && on.port != *request.suggested_port,
         "no mapping although the device has a port for it");
  }
  if (request.suggested_port && request.only_suggested) return;
  const bool none_free = naive_.longest_free_run(std::nullopt) == 0;
  const bool rest = naive_.rest_allows(account, 1);
  must(!quota || !rest || none_free, "no mapping although there is a port and the plan allows it");
  must(code == (quota && none_free ? "pool_exhausted" : "quota_exhausted"), [&] { return "the wrong reason: " + code; });
}

}  // namespace drpf::lease::test
