// The machines of the demo and the cables between them: an Internet host, the gateway, two homes and their NAT routers. Namespaces only;
// what runs on them is in actors.h.
#pragma once

#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "system/fd.h"
#include "system/namespaces.h"
#include "system/process.h"

namespace drpf::cli::demo {

// A network of its own, a /run of its own, and the stage's folder. Everything else it shares with the host.
class Machine {
 public:
  static Result<Machine> make(std::string name);
  // The machine that this process is on already.
  static Result<Machine> present(std::string name);

  const std::string& name() const { return name_; }
  const system::NamespacePair& namespaces() const { return namespaces_; }
  // A program on this machine, to be started before the machine is gone.
  system::Command command(std::vector<std::string> arguments) const;
  // The same under the user nobody, as servers should be.
  system::Command server(std::vector<std::string> arguments, bool user_namespace) const;
  // Runs to the end; an exit code other than 0 is an error with what the program said.
  Result<std::string> run(std::vector<std::string> arguments, std::string input = {}) const;
  // A socket that lives on this machine; `type` as socket(2) has it.
  Result<system::Fd> open_socket(int family, int type, int protocol) const;

 private:
  Machine(std::string name, system::NamespacePair namespaces) : name_(std::move(name)), namespaces_(std::move(namespaces)) {}
  std::string name_;
  system::NamespacePair namespaces_;
};

// Addresses of the documentation blocks (RFC 5737, RFC 3849), which the real Internet does not have.
inline constexpr const char* visitor_v4 = "198.51.100.20";
inline constexpr const char* visitor_v6 = "2001:db8:51::20";
inline constexpr const char* gateway_v4 = "198.51.100.1";
inline constexpr const char* gateway_v6 = "2001:db8:51::1";
inline constexpr const char* router_1_wan = "203.0.113.11";
inline constexpr const char* router_2_wan = "192.0.2.22";
inline constexpr const char* home_1_lan = "192.168.1.10";
inline constexpr const char* home_2_lan = "192.168.2.10";
inline constexpr const char* router_2_lan = "192.168.2.1";

struct Topology {
  // From the present process, which becomes the Internet host. `has_v6` is false where this kernel has no IPv6.
  static Result<Topology> build();

  Machine visitor;
  Machine gateway;
  Machine router_1;
  Machine home_1;
  Machine router_2;
  Machine home_2;
  bool has_v6;
};

}  // namespace drpf::cli::demo
