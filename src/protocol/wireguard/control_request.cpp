#include "protocol/wireguard/control_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "core/encoding.h"

namespace drpf::protocol::wireguard {
namespace {

std::optional<crypto::Key32> read_key(std::string_view text) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != 32) return {};
  crypto::Key32 key{};
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

template <class T>
std::optional<T> read_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

bool read_true(std::string_view text, bool& out) {
  out = text == "true";
  return out;
}

template <class T>
bool keep(std::optional<T> value, std::optional<T>& out) {
  out = std::move(value);
  return out.has_value();
}

template <class T>
std::optional<T> optional_of(Result<T> result) {
  return result ? std::optional<T>(std::move(*result)) : std::nullopt;
}

bool read_allowed_ip(std::string_view text, ControlPeer& peer) {
  const bool away = text.starts_with('-');
  if (away || text.starts_with('+')) text.remove_prefix(1);
  const auto prefix = parse_prefix(text);
  if (!prefix) return false;
  (away ? peer.allowed_ips_remove : peer.allowed_ips_add).push_back(*prefix);
  return true;
}

bool read_device_line(std::string_view key, std::string_view value, ControlSet& set) {
  if (key == "private_key") return keep(read_key(value), set.private_key);
  if (key == "listen_port") return keep(read_number<std::uint16_t>(value), set.listen_port);
  if (key == "fwmark") return keep(value.empty() ? std::optional<std::uint32_t>(0) : read_number<std::uint32_t>(value), set.fwmark);
  if (key == "replace_peers") return read_true(value, set.replace_peers);
  return false;
}

bool read_peer_line(std::string_view key, std::string_view value, ControlPeer& peer) {
  if (key == "remove") return read_true(value, peer.remove);
  if (key == "update_only") return read_true(value, peer.update_only);
  if (key == "preshared_key") return keep(read_key(value), peer.preshared_key);
  if (key == "endpoint") return keep(optional_of(parse_endpoint(value)), peer.endpoint);
  if (key == "persistent_keepalive_interval") return keep(read_number<std::uint16_t>(value), peer.keepalive_s);
  if (key == "replace_allowed_ips") return read_true(value, peer.replace_allowed_ips);
  if (key == "allowed_ip") return read_allowed_ip(value, peer);
  if (key == "protocol_version") return value == "1";
  return false;
}

bool read_set_line(std::string_view key, std::string_view value, ControlSet& set) {
  if (key == "public_key") {
    const auto public_key = read_key(value);
    if (!public_key || set.peers.size() >= control_peers_max) return false;
    set.peers.emplace_back().public_key = *public_key;
    return true;
  }
  return set.peers.empty() ? read_device_line(key, value, set) : read_peer_line(key, value, set.peers.back());
}

}  // namespace

Result<ControlRequest> parse_control_request(std::string_view text) {
  std::optional<ControlRequest> request;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = line.find('=');
    const auto key = line.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::string_view{} : line.substr(equals + 1);
    bool good = false;
    if (equals != std::string_view::npos) {
      if (!request) {
        good = (key == "get" || key == "set") && value == "1";
        if (good && key == "get")
          request = ControlGet{};
        else if (good)
          request = ControlSet{};
      } else if (auto* const set = std::get_if<ControlSet>(&*request)) {
        good = read_set_line(key, value, *set);
      }
    }
    // Nothing of it is in the message: it may be a key.
    if (!good)
      return fail(invalid("control_request_invalid", fmt::format("line {} of the control request is not understood", line_number)));
  }
  if (!request) return fail(invalid("control_request_invalid", "the control request is empty"));
  return *request;
}

std::string control_answer(const ControlState& state) {
  std::string out;
  const auto line = [&](std::string_view key, const auto& value) { fmt::format_to(std::back_inserter(out), "{}={}\n", key, value); };
  if (state.private_key != crypto::Key32{}) line("private_key", to_hex(state.private_key));
  line("listen_port", state.listen_port);
  if (state.fwmark != 0) line("fwmark", state.fwmark);
  for (const auto& peer : state.peers) {
    line("public_key", to_hex(peer.public_key));
    line("preshared_key", to_hex(peer.preshared_key));
    line("protocol_version", 1);
    if (peer.endpoint) line("endpoint", to_string(*peer.endpoint));
    line("last_handshake_time_sec", peer.last_handshake_ns / 1'000'000'000);
    line("last_handshake_time_nsec", peer.last_handshake_ns % 1'000'000'000);
    line("tx_bytes", peer.bytes_sent);
    line("rx_bytes", peer.bytes_received);
    line("persistent_keepalive_interval", peer.keepalive_s);
    for (const auto& prefix : peer.allowed_ips) line("allowed_ip", to_string(prefix));
  }
  return out + control_answer(0);
}

std::string control_answer(int error_number) { return fmt::format("errno={}\n\n", -error_number); }

}  // namespace drpf::protocol::wireguard
