// What comes of an action: the text of the answer, or the fault. Values only.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "protocol/upnp/soap.h"

namespace drpf::protocol::upnp {

using ActionOutcome = std::variant<std::string, Fault>;
using ActionDone = std::function<void(ActionOutcome)>;

}  // namespace drpf::protocol::upnp
