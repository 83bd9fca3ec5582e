#include "registry/port_class.h"

namespace drpf::registry {

PortClass class_of(Port port) {
  for (const auto one : {PortClass::system, PortClass::user})
    if (range_of(one).contains(port)) return one;
  return PortClass::dynamic;
}

PortRange range_of(PortClass port_class) {
  switch (port_class) {
    case PortClass::system:
      return PortRange(Port{0}, Port{1023});
    case PortClass::user:
      return PortRange(Port{1024}, Port{49151});
    case PortClass::dynamic:
      break;
  }
  return PortRange(Port{49152}, Port{65535});
}

std::string_view to_string(PortClass port_class) {
  switch (port_class) {
    case PortClass::system:
      return "system";
    case PortClass::user:
      return "user";
    case PortClass::dynamic:
      break;
  }
  return "dynamic";
}

std::string_view meaning_of(PortClass port_class) {
  switch (port_class) {
    case PortClass::system:
      return "the well-known services; most systems let only privileged programs listen here";
    case PortClass::user:
      return "registered by makers of programs, one by one; any program may listen here";
    case PortClass::dynamic:
      break;
  }
  return "never registered; programs and systems take them as they need them, and so are found here only by agreement or habit";
}

}  // namespace drpf::registry
