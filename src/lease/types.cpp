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

}  // namespace drpf::lease
