// Any bytes as the target of a request line: within the limits, without zero bytes, and encoded again it means the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/http_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::net;
  const auto target = parse_target(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!target) return 0;
  if (target->path.size() > path_segments_max || target->query.size() > query_parameters_max) std::abort();
  std::string again;
  for (const auto& part : target->path) {
    if (part.find('\0') != std::string::npos) std::abort();
    again += "/" + percent_encode(part);
  }
  if (again.empty()) again = "/";
  // A last empty part would be taken for a slash at the end.
  if (target->path.size() > 1 && target->path.back().empty()) return 0;
  const auto second = parse_target(again);
  if (!second || second->path != target->path) std::abort();
  return 0;
}
