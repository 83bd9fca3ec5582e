#include "lease/types.h"

namespace drpf::lease {

std::string_view to_string(LeaseKind kind) {
  switch (kind) {
    case LeaseKind::automatic:
      return "automatic";
    case LeaseKind::fixed:
      return "fixed";
    case LeaseKind::requested:
      return "requested";
  }
  return "";
}

std::string_view to_string(LeaseState state) { return state == LeaseState::active ? "active" : "held"; }

std::string_view to_string(Door door) {
  switch (door) {
    case Door::nat_pmp:
      return "nat-pmp";
    case Door::pcp:
      return "pcp";
    case Door::upnp:
      return "upnp";
    case Door::api:
      return "api";
  }
  return "";
}

}  // namespace drpf::lease
