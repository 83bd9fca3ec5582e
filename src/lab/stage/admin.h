// Calls the admin commands of the real binary on the gateway machine, as an operator would. Knows what they print.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/port.h"
#include "core/result.h"
#include "lab/stage/machine.h"
#include "system/fd.h"

namespace drpf::lab {

// One row of `drpf lease list --json`.
struct LeaseRow {
  std::string device;
  std::string protocol;
  std::string public_address;
  std::uint16_t public_port = 0;
  std::string local_address;
  std::uint16_t local_port = 0;
  std::string kind;
  std::string state;
  bool active() const { return state == "active"; }
};

// The rows without those of other devices, and the ports in them.
std::vector<LeaseRow> rows_of(const std::vector<LeaseRow>& rows, std::string_view device);
std::set<std::uint16_t> ports_of(const std::vector<LeaseRow>& rows);

class Admin {
 public:
  // `executable` and `gateway` must outlive this.
  Admin(const system::Fd& executable, const Machine& gateway) : executable_(&executable), gateway_(&gateway) {}

  // What the command prints; another exit code than the expected one is an error with what it said.
  Result<std::string> call(std::vector<std::string> arguments, int expected = 0) const;
  Result<std::vector<LeaseRow>> leases() const;

 private:
  const system::Fd* executable_;
  const Machine* gateway_;
};

Result<std::vector<LeaseRow>> parse_leases(const std::string& json);

}  // namespace drpf::lab
