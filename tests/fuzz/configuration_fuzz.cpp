// Any bytes as a configuration file: either refused with a place in the file, or a configuration that can be worked with.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "configuration/configuration_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  const auto read = configuration::parse_configuration(std::string_view(reinterpret_cast<const char*>(data), size), "f");
  if (!read) {
    if (!read.error().message.starts_with("f:") || read.error().cure.empty()) std::abort();
    return 0;
  }
  if (read->pool.overlaps(read->snat) || read->pool.overlaps(read->ephemeral) || read->snat.overlaps(read->ephemeral)) std::abort();
  if (read->pool.contains(read->wireguard_port) || read->pool.first().is_zero()) std::abort();
  if (read->quarantine < lease::Policy::quarantine_min || read->plans.empty()) std::abort();
  return 0;
}
