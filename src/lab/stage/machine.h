// One machine of a lab: a network namespace with a mount namespace of its own, and how programs and sockets get into it. Decides no
// topology.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "system/fd.h"
#include "system/namespaces.h"
#include "system/process.h"

namespace drpf::lab {

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

// Sets a machine's interfaces, addresses and routes: lines for `ip -batch`. `peers` are machines that the lines name by cable().
Status configure(const Machine& machine, const std::string& lines, const std::vector<const Machine*>& peers = {});
// A line that makes a cable with one end on the machine that is configured, the other on `peer`.
std::string cable(const std::string& device, const Machine& peer, const std::string& peer_device);
// "net/ipv4/ip_forward=1" and the like, in the machine's network.
Status set_sysctls(const Machine& machine, const std::vector<std::string>& settings);

}  // namespace drpf::lab
