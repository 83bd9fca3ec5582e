// OpenVPN's management interface, as the one who drives the daemon sees it: its lines come in, events come out, and commands are made as
// text. Knows no devices and no sockets. All of it is a stranger's word: names in the environment are what a client has sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/port.h"

namespace drpf::protocol::openvpn {

// Numbers of a client and of its key; the daemon begins again at 0 whenever it is started.
enum class ClientId : std::uint64_t {};
enum class KeyId : std::uint64_t {};

using Environment = std::map<std::string, std::string, std::less<>>;

struct Holding {};  // the daemon waits for release_hold()
struct ClientAsks {
  ClientId client{};
  KeyId key{};
  bool again = false;  // a new key of one that is in already
  Environment environment;
};
struct ClientEstablished {
  ClientId client{};
  Environment environment;
};
struct ClientGone {
  ClientId client{};
};
// A line of `status 3`.
struct ClientSeen {
  ClientId client{};
  std::optional<Endpoint> endpoint;
  std::uint64_t bytes_received = 0;  // from the client
  std::uint64_t bytes_sent = 0;
};
struct Fatal {
  std::string text;  // printable
};
struct CommandRefused {
  std::string text;  // printable
};
using ManagementEvent = std::variant<Holding, ClientAsks, ClientEstablished, ClientGone, ClientSeen, Fatal, CommandRefused>;

class ManagementReader {
 public:
  static constexpr std::size_t line_max = 16 * 1024;
  static constexpr std::size_t variables_max = 512;  // of one client
  static constexpr std::size_t variable_bytes_max = 64 * 1024;

  // What these bytes complete. What is not understood is left out and counted.
  std::vector<ManagementEvent> read(std::string_view bytes);
  // A line without an end: nothing after it can be trusted, and the stream is to be closed.
  bool broken() const { return broken_; }
  std::uint64_t ignored() const { return ignored_; }

 private:
  void line(std::string_view text, std::vector<ManagementEvent>& out);
  void client(std::string_view text, std::vector<ManagementEvent>& out);
  void variable(std::string_view text, std::vector<ManagementEvent>& out);
  void seen(std::string_view text, std::vector<ManagementEvent>& out);

  std::string pending_;
  std::optional<ManagementEvent> open_;  // its environment is still coming
  Environment environment_;
  std::size_t environment_bytes_ = 0;
  std::uint64_t ignored_ = 0;
  bool broken_ = false;
};

// What a client's environment says of where it is: trusted_ip and trusted_port, or those of the other family.
std::optional<Endpoint> endpoint_of(const Environment& environment);

// --- commands, each with its line's end
std::string release_hold();
std::string ask_status();
// `lines` are options of the client's own configuration (ifconfig-push, push); none holds a line's end.
std::string accept_client(ClientId client, KeyId key, const std::vector<std::string>& lines);
std::string accept_key(ClientId client, KeyId key);
// `to_client` begins with "TEMP" where the client is to try again later.
std::string deny_client(ClientId client, KeyId key, std::string_view reason, std::string_view to_client);
enum class AfterKill : std::uint8_t { comes_back, stays_away };
std::string kill_client(ClientId client, AfterKill after);

}  // namespace drpf::protocol::openvpn
