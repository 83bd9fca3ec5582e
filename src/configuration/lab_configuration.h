// The operator's configuration on a lab's network: his ranges, plans and limits as they are, his addresses and interfaces replaced by the
// lab's. Reads no host.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "configuration/configuration.h"
#include "core/address.h"
#include "core/result.h"

namespace drpf::configuration {

struct LabNetwork {
  std::string interface;              // the gateway's public one
  Prefix public_v4;                   // public addresses are taken from these
  std::optional<Prefix> public_v6;    // none = the lab has no IPv6
  std::string plan;                   // of this name one is added that refuses nothing a lab asks for
  std::uint32_t connections_max = 0;  // a higher limit per device is brought down to this, so that it can be reached
};

struct LabConfiguration {
  std::string text;                  // what the lab's gateway is given
  Configuration settings;            // the same, read
  std::vector<Address> addresses;    // the gateway's, with the first host's first
  std::vector<std::string> remarks;  // what is not as the operator has it, in words
};

// `text` is his file; empty = the defaults. Errors as of parse_configuration().
Result<LabConfiguration> make_lab_configuration(std::string_view text, std::string_view file_name, const LabNetwork& network);

}  // namespace drpf::configuration
