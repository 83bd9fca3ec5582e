#include "protocol/openvpn/management.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "core/text.h"

namespace drpf::protocol::openvpn {
namespace {

constexpr std::size_t shown_max = 300;

std::string printable_part(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, shown_max)) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

// Takes the text before the separator, and the separator, off.
std::string_view take_field(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const auto field = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return field;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "198.51.100.7:40000", "[2001:db8::7]:40000", with "udp4:" and the like before it in version 2.7.
std::optional<Endpoint> status_endpoint(std::string_view text) {
  for (const std::string_view before : {"udp4:", "udp6:", "tcp4-server:", "tcp6-server:", "tcp4:", "tcp6:"})
    if (text.starts_with(before)) text.remove_prefix(before.size());
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (const std::string_view mapped = "::ffff:"; host.starts_with(mapped) && host.find('.') != std::string_view::npos)
    host.remove_prefix(mapped.size());  // IPv4 at a socket of both families
  const auto address = parse_address(host);
  const auto port = whole_number<std::uint16_t>(text.substr(colon + 1));
  if (!address || !port) return std::nullopt;
  return Endpoint{*address, Port{*port}};
}

}  // namespace

std::vector<ManagementEvent> ManagementReader::read(std::string_view bytes) {
  std::vector<ManagementEvent> out;
  while (!broken_ && !bytes.empty()) {
    const auto end = bytes.find('\n');
    pending_.append(bytes.substr(0, end));
    if (pending_.size() > line_max) {
      broken_ = true;
      break;
    }
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
    auto text = std::exchange(pending_, {});
    if (!text.empty() && text.back() == '\r') text.pop_back();
    line(text, out);
  }
  return out;
}

void ManagementReader::line(std::string_view text, std::vector<ManagementEvent>& out) {
  constexpr std::string_view about_client = ">CLIENT:";
  constexpr std::string_view fatal = ">FATAL:";
  constexpr std::string_view refused = "ERROR:";
  constexpr std::string_view listed = "CLIENT_LIST\t";
  if (text.starts_with(about_client)) return client(text.substr(about_client.size()), out);
  if (text.starts_with(">HOLD:")) return out.push_back(Holding{});
  if (text.starts_with(fatal)) return out.push_back(Fatal{printable_part(text.substr(fatal.size()))});
  if (text.starts_with(refused)) return out.push_back(CommandRefused{printable_part(trimmed(text.substr(refused.size())))});
  if (text.starts_with(listed)) return seen(text.substr(listed.size()), out);
  // Answers to what was asked, and the rest of the list of clients.
  for (const std::string_view known : {"SUCCESS:", ">INFO:", "TITLE\t", "TIME\t", "HEADER\t", "ROUTING_TABLE\t", "GLOBAL_STATS\t", "END"})
    if (text.starts_with(known)) return;
  ++ignored_;
}

void ManagementReader::client(std::string_view text, std::vector<ManagementEvent>& out) {
  const auto verb = take_field(text, ',');
  if (verb == "ENV") return variable(text, out);
  open_.reset();
  environment_.clear();
  environment_bytes_ = 0;
  const auto client = whole_number<std::uint64_t>(take_field(text, ','));
  if (!client) {
    ++ignored_;
    return;
  }
  const ClientId id{*client};
  if (verb == "CONNECT" || verb == "REAUTH") {
    const auto key = whole_number<std::uint64_t>(take_field(text, ','));
    if (key)
      open_ = ClientAsks{id, KeyId{*key}, verb == "REAUTH", {}};
    else
      ++ignored_;
  } else if (verb == "ESTABLISHED") {
    open_ = ClientEstablished{id, {}};
  } else if (verb == "DISCONNECT") {
    open_ = ClientGone{id};
  } else if (verb != "ADDRESS") {
    ++ignored_;
  }
}

void ManagementReader::variable(std::string_view text, std::vector<ManagementEvent>& out) {
  if (text != "END") {
    environment_bytes_ += text.size();
    if (!open_ || environment_.size() >= variables_max || environment_bytes_ > variable_bytes_max) {
      ++ignored_;
      return;
    }
    const auto name = take_field(text, '=');
    // The first one stands: a later one of the same name would be a client's.
    environment_.try_emplace(std::string(name), text);
    return;
  }
  if (!open_) return;
  auto event = std::move(*std::exchange(open_, std::nullopt));
  auto environment = std::exchange(environment_, {});
  environment_bytes_ = 0;
  if (auto* asks = std::get_if<ClientAsks>(&event))
    asks->environment = std::move(environment);
  else if (auto* established = std::get_if<ClientEstablished>(&event))
    established->environment = std::move(environment);
  out.push_back(std::move(event));
}

// Common name, real address, virtual address, virtual IPv6 address, bytes received, bytes sent, connected since, the same as a number, user
// name, client id, peer id, cipher. The name comes first and may hold anything but a tab.
void ManagementReader::seen(std::string_view text, std::vector<ManagementEvent>& out) {
  std::vector<std::string_view> fields;
  while (!text.empty()) fields.push_back(take_field(text, '\t'));
  constexpr std::size_t real_address = 1;
  constexpr std::size_t received = 4;
  constexpr std::size_t sent = 5;
  constexpr std::size_t client_id = 9;
  if (fields.size() <= client_id) {
    ++ignored_;
    return;
  }
  const auto client = whole_number<std::uint64_t>(fields[client_id]);
  const auto bytes_received = whole_number<std::uint64_t>(fields[received]);
  const auto bytes_sent = whole_number<std::uint64_t>(fields[sent]);
  if (!client || !bytes_received || !bytes_sent) {
    ++ignored_;
    return;
  }
  out.push_back(ClientSeen{ClientId{*client}, status_endpoint(fields[real_address]), *bytes_received, *bytes_sent});
}

std::optional<Endpoint> endpoint_of(const Environment& environment) {
  const auto port_of = environment.find("trusted_port");
  if (port_of == environment.end()) return std::nullopt;
  const auto port = whole_number<std::uint16_t>(port_of->second);
  for (const auto* name : {"trusted_ip", "trusted_ip6"}) {
    const auto found = environment.find(std::string_view(name));
    if (found == environment.end()) continue;
    if (const auto address = parse_address(found->second); address && port) return Endpoint{*address, Port{*port}};
  }
  return std::nullopt;
}

std::string release_hold() { return "hold release\n"; }
std::string ask_status() { return "status 3\n"; }

std::string accept_client(ClientId client, KeyId key, const std::vector<std::string>& lines) {
  auto text = fmt::format("client-auth {} {}\n", static_cast<std::uint64_t>(client), static_cast<std::uint64_t>(key));
  for (const auto& line : lines) text += line + "\n";
  return text + "END\n";
}

std::string accept_key(ClientId client, KeyId key) {
  return fmt::format("client-auth-nt {} {}\n", static_cast<std::uint64_t>(client), static_cast<std::uint64_t>(key));
}

std::string deny_client(ClientId client, KeyId key, std::string_view reason, std::string_view to_client) {
  return fmt::format("client-deny {} {} \"{}\" \"{}\"\n", static_cast<std::uint64_t>(client), static_cast<std::uint64_t>(key), reason,
                     to_client);
}

std::string kill_client(ClientId client, AfterKill after) {
  return fmt::format("client-kill {} {}\n", static_cast<std::uint64_t>(client), after == AfterKill::stays_away ? "HALT" : "RESTART");
}

}  // namespace drpf::protocol::openvpn
