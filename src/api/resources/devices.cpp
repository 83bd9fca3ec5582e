#include <algorithm>

#include "api/json_body.h"
#include "api/json_values.h"
#include "api/resources.h"
#include "core/encoding.h"

namespace drpf::api {
namespace {

constexpr std::size_t endpoint_length_max = 255;
constexpr std::size_t key_size = 32;

Result<BroughtCredential> parse_key(std::string_view text) {
  auto bytes = from_base64(text);
  if (!bytes || bytes->size() != key_size || std::all_of(bytes->begin(), bytes->end(), [](auto byte) { return byte == 0; }))
    return fail(invalid("public_key_invalid", "'" + std::string(text) + "' is not a WireGuard public key",
                        "give the 44 characters that `wg pubkey` prints"));
  return BroughtCredential{"wireguard", std::move(*bytes)};
}

// The text goes into the Endpoint line of a configuration: a host name or an address, nothing that could end the line.
Status check_endpoint(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' || c == '[' ||
           c == ']';
  });
  if (plain && !text.empty() && text.size() <= endpoint_length_max) return {};
  return fail(invalid("endpoint_invalid", "this endpoint is not a host name or an address",
                      "write it like vpn.example.org, 198.51.100.7 or vpn.example.org:51820"));
}

Result<const lease::Device*> find_device(const Call& call) {
  const auto* device = call.service.book().device(std::string_view(call.arguments[0]));
  if (!device)
    return fail(not_found("device_unknown", "there is no device '" + call.arguments[0] + "'", "see `drpf device list` for the names"));
  return device;
}

Result<Reply> list_devices(Call& call) {
  boost::json::array devices;
  for (const auto* device : call.service.book().devices()) devices.push_back(device_json(call.service, *device));
  return json_response(200, devices);
}

Result<Reply> add_device(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  const auto account = body->required_text("account");
  const auto name = body->required_text("name");
  const auto key_text = body->text("public_key");
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  std::optional<BroughtCredential> key;
  if (key_text) {
    auto parsed = parse_key(*key_text);
    if (!parsed) return fail(parsed.error());
    key = std::move(*parsed);
  }
  const auto device = call.service.add_device(account, name, std::move(key));
  if (!device) return fail(device.error());
  return Reply(json_response(201, device_json(call.service, device->value)), device->settling);
}

Result<Reply> show_device(Call& call) {
  const auto device = find_device(call);
  if (!device) return fail(device.error());
  return json_response(200, device_json(call.service, **device));
}

Result<Reply> remove_device(Call& call) {
  const auto removed = call.service.remove_device(call.arguments[0]);
  if (!removed) return fail(removed.error());
  return Reply(no_content(), *removed);
}

Result<Reply> forget_clock(Call& call) {
  if (const auto done = call.service.forget_clock(call.arguments[0]); !done) return fail(done.error());
  return Reply(no_content());
}

Result<Reply> show_config(Call& call) {
  DeviceConfigOptions options;
  for (const auto& [name, value] : call.request.query) {
    if (name == "endpoint") {
      if (const auto good = check_endpoint(value); !good) return fail(good.error());
      options.endpoint = value;
    } else if (name == "kind") {
      options.kind = value;
    } else if (value == "1" || value == "0") {
      options.inbound_only = value == "1";
    } else {
      return fail(invalid("parameter_invalid", "the parameter 'inbound_only' must be 0 or 1", "write inbound_only=1"));
    }
  }
  const auto text = call.service.device_config(call.arguments[0], options);
  if (!text) return fail(text.error());
  return json_response(200, boost::json::object{{"config", *text}});
}

}  // namespace

std::span<const Route> device_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/devices", list_devices},
                                     {"POST", "/v1/devices", add_device, "device add"},
                                     {"GET", "/v1/devices/{name}", show_device},
                                     {"DELETE", "/v1/devices/{name}", remove_device, "device remove"},
                                     {"POST", "/v1/devices/{name}/forget-clock", forget_clock, "device forget-clock"},
                                     {"GET", "/v1/devices/{name}/config", show_config, "device config", "inbound_only endpoint kind"}};
  return routes;
}

}  // namespace drpf::api
