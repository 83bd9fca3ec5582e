// Every key of the configuration file, and when a change of it is taken up. What a running gateway refuses to change, and the table of
// docs/configuration.md, follow from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "configuration/configuration.h"

namespace drpf::configuration {

enum class TakenUp : std::uint8_t {
  live,     // by a gateway that reads its file again
  restart,  // by a gateway that starts; one that runs refuses a file that changes it
};

struct Key {
  std::string_view section;  // as it stands in the file: "[ports]"
  std::string_view name;
  TakenUp taken_up{};
  bool (*same)(const Configuration& now, const Configuration& then) = nullptr;
  // Where not every change of it needs the restart: whether this one does not.
  bool (*held)(const Configuration& now, const Configuration& then) = nullptr;
};

std::span<const Key> keys();

// "[ports] pool", "[[host]]": those that the two say differently.
std::vector<std::string> changed_keys(const Configuration& before, const Configuration& after);

// "[tunnel] mtu": those that differ and are not taken up live.
std::vector<std::string> keys_that_need_a_restart(const Configuration& now, const Configuration& then);

}  // namespace drpf::configuration
