// What `drpf lease test` found, as metrics in the text format of Prometheus, for a collector that reads files. Serves nothing.
#pragma once

#include <boost/json/array.hpp>
#include <chrono>
#include <string>

#include "core/result.h"

namespace drpf::api_client {

// `code_of` gives a finding's number: 0 = answers.
std::string lease_metrics(const boost::json::array& tested, int (*code_of)(std::string_view finding), std::chrono::seconds since_1970);
// Whole or not at all: whoever reads the file never meets half of it.
Status write_metrics(const std::string& path, const std::string& text);

}  // namespace drpf::api_client
