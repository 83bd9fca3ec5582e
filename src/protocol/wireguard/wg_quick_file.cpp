#include "protocol/wireguard/wg_quick_file.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "core/encoding.h"
#include "core/text.h"

namespace drpf::protocol::wireguard {
namespace {

constexpr std::uint16_t mtu_min = 576;
constexpr std::uint16_t mtu_min_v6 = 1280;  // RFC 8200 section 5
constexpr std::size_t host_name_max = 253;
constexpr std::string_view inbound_only_comment = "drpf: inbound-only";

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// A piece of the file that may be, or hold, a key: lines run into each other, keys stand under the wrong setting. It can be read and has
// no text of its own; what an error may say of it is quoted().
struct Unspoken {
  std::string_view text;
};

bool is_of_base64(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '/' || c == '=';
}

// The longest piece that could be one of a key.
std::size_t longest_run(std::string_view text) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const char c : text) {
    run = is_of_base64(c) ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

// Nothing, or the piece: short and printable, and too little of anything to be of a key.
std::string quoted(Unspoken piece) {
  constexpr std::size_t shown_max = 24;
  constexpr std::size_t run_max = 7;
  const auto printable = [](char c) { return c >= 0x20 && c < 0x7f; };
  const auto& text = piece.text;
  if (text.empty() || text.size() > shown_max || longest_run(text) > run_max || !std::all_of(text.begin(), text.end(), printable))
    return {};
  return std::string(text);
}

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  while (true) {
    const auto comma = text.find(',');
    if (const auto item = trim(text.substr(0, comma)); !item.empty()) items.push_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The setting in our own spelling; empty for what is none.
std::string_view setting_named(Unspoken written) {
  constexpr std::array<std::string_view, 17> settings = {"PrivateKey",
                                                         "Address",
                                                         "DNS",
                                                         "MTU",
                                                         "Table",
                                                         "ListenPort",
                                                         "FwMark",
                                                         "PreUp",
                                                         "PostUp",
                                                         "PreDown",
                                                         "PostDown",
                                                         "SaveConfig",
                                                         "PublicKey",
                                                         "PresharedKey",
                                                         "AllowedIPs",
                                                         "Endpoint",
                                                         "PersistentKeepalive"};
  const auto word = lower(written.text);
  const auto* const found =
      std::find_if(settings.begin(), settings.end(), [&](std::string_view setting) { return lower(setting) == word; });
  return found == settings.end() ? std::string_view{} : *found;
}

std::string unknown_setting(std::string_view name, std::string_view section) {
  return name.empty() ? fmt::format("unknown setting in {}", section) : fmt::format("{} does not belong into {}", name, section);
}

std::string quoted_after(std::string_view what, Unspoken piece) {
  const auto said = quoted(piece);
  return said.empty() ? std::string(what) : fmt::format("{} {}", what, said);
}

// A key that has lost its '=' could pass for a name, and names are said, asked for and handed to other programs.
bool could_be_key(std::string_view name) {
  constexpr std::size_t label_max = 32;
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  return longest_run(name) > label_max && std::any_of(name.begin(), name.end(), is_upper);
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > host_name_max || text.front() == '-' || text.front() == '.' || could_be_key(text)) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  Result<WgQuickFile> run() {
    if (text_.size() > wg_quick_file_size_max) {
      return fail(invalid("file_too_long", fmt::format("{}: the file has {} bytes", name_, text_.size()),
                          fmt::format("A wg-quick file has at most {} bytes here; is this the right file?", wg_quick_file_size_max)));
    }
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
    while (!text_.empty()) {
      ++line_;
      const auto end = text_.find('\n');
      const auto status = read_line(text_.substr(0, end));
      if (!status) return fail(status.error());
      text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    }
    if (const auto status = check_whole(); !status) return fail(status.error());
    return std::move(file_);
  }

 private:
  enum class Section { none, interface, peer };

  Error error(std::string_view what, std::string cure = {}) const {
    return invalid("bad_wg_quick_file", fmt::format("{}:{}: {}", name_, line_, what), std::move(cure));
  }
  // `key` is a word of ours.
  Error bad_value(std::string_view key, Unspoken value, std::string cure) const {
    if (value.text.empty()) return error(fmt::format("{} has no value", key), std::move(cure));
    const auto said = quoted(value);
    return error(said.empty() ? fmt::format("{}: this value is not understood", key) : fmt::format("{} = {} is not understood", key, said),
                 std::move(cure));
  }

  Status read_line(std::string_view line) {
    if (const auto hash = line.find('#'); hash != std::string_view::npos) {
      if (trim(line.substr(hash + 1)) == inbound_only_comment) file_.inbound_only = true;
      line = line.substr(0, hash);
    }
    line = trim(line);
    if (line.empty()) return {};
    if (line.front() == '[') return read_section(line);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) {
      return fail(error("the line is neither a section nor a setting", "Write [Interface], [Peer], or Key = value."));
    }
    const Unspoken value{trim(line.substr(equals + 1))};
    const auto name = setting_named(Unspoken{trim(line.substr(0, equals))});
    switch (section_) {
      case Section::interface:
        return read_interface(name, value);
      case Section::peer:
        return read_peer(name, value);
      case Section::none:
        break;
    }
    return fail(error("a setting stands before any section", "Begin the file with [Interface]."));
  }

  Status read_section(std::string_view line) {
    const auto section = lower(line);
    if (section == "[interface]") {
      section_ = Section::interface;
      seen_interface_ = true;
      return {};
    }
    if (section == "[peer]") {
      if (file_.peers.size() >= wg_quick_peers_max) {
        return fail(error(fmt::format("more than {} peers", wg_quick_peers_max), "A device needs one peer: its gateway."));
      }
      if (auto status = check_peer(); !status) return status;
      section_ = Section::peer;
      file_.peers.emplace_back().line = line_;
      seen_public_key_ = false;
      return {};
    }
    return fail(error(quoted_after("unknown section", Unspoken{line}), "The sections are [Interface] and [Peer]."));
  }

  Status read_interface(std::string_view name, Unspoken value) {
    if (name == "PrivateKey") {
      seen_private_key_ = true;
      return read_key(name, value, file_.private_key.bytes());
    }
    if (name == "Address") return read_addresses(value);
    if (name == "DNS") return read_dns(value);
    if (name == "MTU") return read_mtu(value);
    if (name == "Table") return read_table(value);
    if (name == "ListenPort") {
      const auto port = parse_port(value.text);
      if (!port) return fail(bad_value(name, value, "A port number, 0 to 65535; 0 means any."));
      file_.listen_port = *port;
      return {};
    }
    if (name == "FwMark") {
      if (lower(value.text) == "off") {
        file_.firewall_mark.reset();
        return {};
      }
      const auto mark = parse_number(value.text);
      if (!mark) return fail(bad_value(name, value, "A number such as 51820 or 0xca6c, or off."));
      file_.firewall_mark = *mark == 0 ? std::nullopt : mark;
      return {};
    }
    if (name == "PreUp" || name == "PostUp" || name == "PreDown" || name == "PostDown") {
      note(fmt::format("{} is not run: drpf sets up and takes down its routes and rules itself", name));
      return {};
    }
    if (name == "SaveConfig") {
      note("SaveConfig is ignored: the file is only read");
      return {};
    }
    return fail(error(unknown_setting(name, "[Interface]"),
                      "Known: PrivateKey, Address, DNS, MTU, Table, ListenPort, FwMark, PreUp, PostUp, PreDown, PostDown, SaveConfig."));
  }

  Status read_peer(std::string_view name, Unspoken value) {
    auto& peer = file_.peers.back();
    if (name == "PublicKey") {
      seen_public_key_ = true;
      return read_key(name, value, peer.public_key);
    }
    if (name == "PresharedKey") return read_key(name, value, peer.preshared_key.bytes());
    if (name == "AllowedIPs") return read_allowed_ips(value, peer);
    if (name == "Endpoint") return read_endpoint(value, peer);
    if (name == "PersistentKeepalive") {
      if (lower(value.text) == "off") {
        peer.keepalive_s = 0;
        return {};
      }
      const auto seconds = parse_number(value.text);
      if (!seconds || *seconds > 65535) return fail(bad_value(name, value, "Seconds, 0 to 65535 (25 is usual), or off."));
      peer.keepalive_s = static_cast<std::uint16_t>(*seconds);
      return {};
    }
    return fail(error(unknown_setting(name, "[Peer]"), "Known: PublicKey, PresharedKey, AllowedIPs, Endpoint, PersistentKeepalive."));
  }

  Status read_key(std::string_view name, Unspoken value, WireGuardKey& key) {
    const auto bytes = from_base64(value.text);
    if (!bytes || bytes->size() != key.size()) {
      return fail(error(fmt::format("{} is not a WireGuard key ({} characters)", name, value.text.size()),
                        "A key is 44 characters of base64 and ends with '='."));
    }
    std::copy(bytes->begin(), bytes->end(), key.begin());
    return {};
  }

  Status read_addresses(Unspoken value) {
    for (const auto item : split_list(value.text)) {
      const auto slash = item.find('/');
      const auto address = parse_address(item.substr(0, slash));
      if (!address) return fail(bad_value("Address", Unspoken{item}, "An address with its prefix length, e.g. 10.77.0.2/32."));
      auto length = std::optional<std::uint32_t>(address->bits());
      if (slash != std::string_view::npos) length = parse_number(item.substr(slash + 1));
      if (!length || *length > address->bits()) {
        return fail(bad_value("Address", Unspoken{item}, fmt::format("The prefix length is 0 to {}.", address->bits())));
      }
      if (address->is_unspecified() || address->is_multicast() || address->is_loopback()) {
        return fail(bad_value("Address", Unspoken{item}, "The device's own tunnel address, as the gateway gave it."));
      }
      if (file_.addresses.size() >= wg_quick_addresses_max) {
        return fail(error(fmt::format("more than {} addresses", wg_quick_addresses_max), "A device has one address of each family."));
      }
      file_.addresses.push_back({*address, *length});
    }
    return {};
  }

  Status read_dns(Unspoken value) {
    for (const auto item : split_list(value.text)) {
      if (file_.dns.size() + file_.dns_search.size() >= wg_quick_addresses_max) {
        return fail(error(fmt::format("more than {} entries for DNS", wg_quick_addresses_max), "Two name servers are enough."));
      }
      if (const auto address = parse_address(item)) {
        file_.dns.push_back(*address);
      } else if (is_host_name(item)) {
        file_.dns_search.emplace_back(item);
      } else {
        return fail(bad_value("DNS", Unspoken{item}, "Addresses of name servers, or search domains, separated by commas."));
      }
    }
    return {};
  }

  Status read_mtu(Unspoken value) {
    const auto mtu = parse_number(value.text);
    if (!mtu || *mtu < mtu_min || *mtu > 65535) {
      return fail(bad_value("MTU", value, fmt::format("{} to 65535; 1420 suits an outer path of 1500.", mtu_min)));
    }
    file_.mtu = static_cast<std::uint16_t>(*mtu);
    mtu_line_ = line_;
    return {};
  }

  Status read_table(Unspoken value) {
    const auto word = lower(value.text);
    if (word == "auto") {
      file_.table = WgQuickFile::TableAuto{};
    } else if (word == "off") {
      file_.table = WgQuickFile::TableOff{};
    } else if (const auto number = parse_number(value.text); number && *number != 0) {
      file_.table = *number;
    } else {
      return fail(bad_value("Table", value, "auto, off, or the number of a routing table; names of tables are not looked up."));
    }
    return {};
  }

  Status read_allowed_ips(Unspoken value, WgQuickPeer& peer) {
    for (const auto item : split_list(value.text)) {
      const auto prefix = parse_prefix(item);
      if (!prefix) return fail(bad_value("AllowedIPs", Unspoken{item}, "Prefixes separated by commas, e.g. 0.0.0.0/0, ::/0."));
      if (peer.allowed_ips.size() >= wg_quick_allowed_ips_max) {
        return fail(error(fmt::format("more than {} prefixes in AllowedIPs", wg_quick_allowed_ips_max), "Use larger prefixes."));
      }
      peer.allowed_ips.push_back(*prefix);
    }
    return {};
  }

  Status read_endpoint(Unspoken value, WgQuickPeer& peer) {
    const auto text = value.text;
    const auto bad = [&] {
      return fail(bad_value("Endpoint", value, "A name or address and a port: vpn.example.net:51820, [2001:db8::1]:51820."));
    };
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad();
    const auto port = parse_port(text.substr(colon + 1));
    auto host = text.substr(0, colon);
    if (!port || port->is_zero() || host.empty()) return bad();
    if (host.front() == '[') {
      if (host.size() < 2 || host.back() != ']') return bad();
      host = host.substr(1, host.size() - 2);
      const auto address = parse_address(host);
      if (!address || !address->is_v6()) return bad();
    } else if (!parse_address(host) && !is_host_name(host)) {
      return bad();
    } else if (host.find(':') != std::string_view::npos) {
      return bad();  // an IPv6 literal needs its brackets: where would the port begin?
    }
    peer.endpoint = PeerHost{std::string(host), *port};
    return {};
  }

  // The peer that ends here must be complete.
  Status check_peer() const {
    if (file_.peers.empty() || seen_public_key_) return {};
    return fail(invalid("bad_wg_quick_file", fmt::format("{}:{}: this [Peer] has no PublicKey", name_, file_.peers.back().line),
                        "Add PublicKey = the gateway's key."));
  }

  Status check_whole() const {
    const auto missing = [&](std::string_view what, std::string cure) {
      return fail(invalid("bad_wg_quick_file", fmt::format("{}: {}", name_, what), std::move(cure)));
    };
    if (!seen_interface_)
      return missing("no [Interface] section", "Is this a wg-quick file? The gateway prints one: drpf device config NAME.");
    if (!seen_private_key_)
      return missing("[Interface] has no PrivateKey", "Add the device's private key; the gateway only kept it if it made it.");
    if (file_.addresses.empty()) return missing("[Interface] has no Address", "Add the tunnel address that the gateway gave this device.");
    if (file_.peers.empty()) return missing("no [Peer] section", "Add the gateway as [Peer] with PublicKey, Endpoint and AllowedIPs.");
    if (auto status = check_peer(); !status) return status;
    for (const auto& peer : file_.peers)
      if (peer.public_key == file_.private_key.bytes())
        return missing(fmt::format("the PublicKey of the [Peer] in line {} is this device's PrivateKey", peer.line),
                       "Put the gateway's public key there: drpf device config NAME prints it.");
    const bool v6 = std::any_of(file_.addresses.begin(), file_.addresses.end(), [](const auto& a) { return a.address.is_v6(); });
    if (v6 && file_.mtu && *file_.mtu < mtu_min_v6) {
      return fail(invalid("bad_wg_quick_file",
                          fmt::format("{}:{}: MTU = {} is too small for the IPv6 address of this device", name_, mtu_line_, *file_.mtu),
                          fmt::format("IPv6 needs at least {}.", mtu_min_v6)));
    }
    return {};
  }

  void note(std::string text) {
    if (file_.notes.size() < wg_quick_notes_max) file_.notes.push_back({line_, std::move(text)});
  }

  std::string_view text_;
  std::string_view name_;
  WgQuickFile file_;
  Section section_ = Section::none;
  std::size_t line_ = 0;
  std::size_t mtu_line_ = 0;
  bool seen_interface_ = false;
  bool seen_private_key_ = false;
  bool seen_public_key_ = false;
};

}  // namespace

std::string to_string(const InterfaceAddress& address) { return fmt::format("{}/{}", to_string(address.address), address.length); }

std::string to_string(const PeerHost& host) {
  const bool v6 = host.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host.host, host.port.value()) : fmt::format("{}:{}", host.host, host.port.value());
}

Result<WgQuickFile> parse_wg_quick_file(std::string_view text, std::string_view name) { return Parser(text, name).run(); }

}  // namespace drpf::protocol::wireguard
