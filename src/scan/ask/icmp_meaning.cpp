#include "scan/ask/icmp_meaning.h"

namespace drpf::scan {

namespace {

// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
std::optional<Cause> cause_of_v4(IcmpError error) {
  if (error.type == 11) return Cause::time_exceeded;
  if (error.type == 12) return Cause::param_problem;
  if (error.type != 3) return std::nullopt;
  switch (error.code) {
    case 0:
      return Cause::net_unreach;
    case 1:
      return Cause::host_unreach;
    case 2:
      return Cause::proto_unreach;
    case 3:
      return Cause::port_unreach;
    case 4:  // fragmentation needed
      return std::nullopt;
    case 9:
      return Cause::net_prohibited;
    case 10:
      return Cause::host_prohibited;
    case 13:
      return Cause::admin_prohibited;
    default:
      return Cause::other_unreach;
  }
}

// RFC 4443 section 3.
std::optional<Cause> cause_of_v6(IcmpError error) {
  if (error.type == 3) return Cause::time_exceeded;
  if (error.type == 4) return Cause::param_problem;
  if (error.type != 1) return std::nullopt;
  switch (error.code) {
    case 0:
      return Cause::no_route;
    case 1:
      return Cause::admin_prohibited;
    case 2:
      return Cause::beyond_scope;
    case 3:
      return Cause::addr_unreach;
    case 4:
      return Cause::port_unreach;
    case 5:
      return Cause::policy_fail;
    case 6:
      return Cause::reject_route;
    default:
      return Cause::other_unreach;
  }
}

}  // namespace

std::optional<Cause> cause_of(Family family, IcmpError error) { return family == Family::v4 ? cause_of_v4(error) : cause_of_v6(error); }

}  // namespace drpf::scan
