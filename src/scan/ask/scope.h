// Who may be asked, and how fast: the one gate between what the user wrote and a scan. Everything comes in as values; no option passes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "scan/ask/address_set.h"
#include "scan/ask/targets.h"
#include "scan/request.h"

namespace drpf::scan {

inline constexpr std::uint64_t targets_without_asking_max = 65'536;  // a /16; more needs a flag of its own
inline constexpr std::uint64_t targets_max = 1'048'576;              // more is never taken at once
inline constexpr double rate_floor = 0.001;                          // packets per second: one in 17 minutes
inline constexpr unsigned probes_per_port_max = 100;

// A target whose names have been resolved.
struct ResolvedTarget {
  std::string text;
  std::vector<AddressRange> ranges;
};

struct Scope {
  std::vector<AddressRange> own;         // beside the private ranges: this machine's addresses, and what is configured as own
  std::vector<AddressRange> excluded;    // by the operator's file and by --exclude; wins over everything
  std::vector<AddressRange> broadcasts;  // first and last addresses of the IPv4 networks that this machine is in
};

struct Permissions {
  bool i_own_these = false;
  bool more_than_65536 = false;
};

struct LeftOut {
  AddressRange range;
  std::string why;
};

// Targets that have passed the gate. Nothing else makes one that holds addresses.
class AdmittedTargets {
 public:
  const AddressSet& addresses() const { return addresses_; }
  // Some lie outside the scope, and the user has said that they are theirs: to be written down.
  const AddressSet& vouched_for() const { return vouched_for_; }
  const std::vector<LeftOut>& left_out() const { return left_out_; }

 private:
  friend Result<AdmittedTargets> admit(const std::vector<ResolvedTarget>&, const Scope&, Permissions);
  AddressSet addresses_;
  AddressSet vouched_for_;
  std::vector<LeftOut> left_out_;
};

// RFC 1918, unique local (RFC 4193) and link-local addresses (RFC 3927, RFC 4291).
const std::vector<Prefix>& private_prefixes();

// Whether it may be asked without a word of the user.
bool lies_in(const Address& address, const Scope& scope);

Result<AdmittedTargets> admit(const std::vector<ResolvedTarget>& targets, const Scope& scope, Permissions permissions);
// The zombie of an idle scan and all its targets must lie in the scope; vouching does not help, for a third party's counter is used.
Status admit_zombie(const Address& zombie, const AdmittedTargets& targets, const Scope& scope);

struct WantedPace {
  std::optional<double> start;
  std::optional<double> ceiling;
  std::optional<unsigned> probes_max;
};
Result<Pace> admit_pace(const WantedPace& wanted);
// "1000", "0.5", "20k".
Result<double> parse_rate(std::string_view text);

}  // namespace drpf::scan
