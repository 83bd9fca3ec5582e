// Which service a banner is of, by the greetings that the protocols' own specifications lay down. A guess from a few bytes, no more.
#pragma once

#include <string_view>

namespace drpf::scan {

// "ssh", "smtp"; empty where the bytes tell nothing.
std::string_view guess_service(std::string_view banner);

}  // namespace drpf::scan
