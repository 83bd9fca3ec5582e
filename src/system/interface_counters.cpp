#include "system/interface_counters.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "system/tun.h"

namespace drpf::system {
namespace {

constexpr auto look_again_after = std::chrono::milliseconds(1);
constexpr int looks_max = 50;
constexpr int still_looks = 3;  // one could fall between two packets
constexpr int field_of_packets_sent = 9;

std::optional<std::uint64_t> packets_sent_now(const std::string& interface) {
  std::ifstream file("/proc/net/dev");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return packets_sent(text, interface);
}

}  // namespace

std::optional<std::uint64_t> packets_sent(std::string_view text, std::string_view interface) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (!line.starts_with(interface) || line.substr(interface.size(), 1) != ":") continue;
    line.remove_prefix(interface.size() + 1);
    for (int field = 0; field < field_of_packets_sent; ++field) {
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      line.remove_prefix(std::min(line.find(' '), line.size()));
    }
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    std::uint64_t value = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    return error == std::errc{} && rest != line.data() ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

void wait_until_taken(const std::string& interface) {
  const auto first = packets_sent_now(interface);
  if (!first) return;
  auto last = *first;
  int still = 0;
  for (int i = 0; i < looks_max && still < still_looks; ++i) {
    std::this_thread::sleep_for(look_again_after);
    const auto now = packets_sent_now(interface);
    if (!now || *now - *first > static_cast<std::uint64_t>(Tun::transmit_queue_length)) return;
    still = *now == last ? still + 1 : 0;
    last = *now;
  }
}

}  // namespace drpf::system
