// Leases on the screen: a row for a run of ports that lead to one device in one way, over both protocols and both families of addresses.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>

namespace drpf::cli {

// `leases` as the API lists them: one element for each public address.
std::string lease_table(const boost::json::value& leases);
// A row for each element.
std::string lease_table_of_all(const boost::json::value& leases);

}  // namespace drpf::cli
