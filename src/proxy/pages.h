// What the proxy itself answers: pages that say why something did not work, and the file by which browsers configure themselves. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "proxy/policy.h"

namespace drpf::proxy {

// A whole answer that ends the connection. Of HEAD without the page.
std::string failure_page(unsigned status, std::string_view why, std::string_view cure, bool head_only = false);
std::string_view reason_of(unsigned status);

// A whole answer with this body.
std::string own_page(std::string_view content_type, std::string_view body, bool head_only, bool keep_alive);

// The file of /proxy.pac and /wpad.dat: which program goes where, as the policy has it.
std::string proxy_configuration_file(const Policy& policy, const Endpoint& proxy);
// The one page that a browser sees which takes the proxy for a web server.
std::string welcome_page(const Endpoint& proxy);

// What to enter in which program, with the real address and port.
std::string settings_text(const Endpoint& proxy, const Policy& policy);

std::string html_escaped(std::string_view text);

}  // namespace drpf::proxy
