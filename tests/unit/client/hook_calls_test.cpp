#include "client/ports/hook_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PublishedPort port(std::uint16_t number, Protocol protocol = Protocol::tcp, std::uint16_t local = 0) {
  return {*parse_address("198.51.100.1"), protocol, Port{number}, Port{local == 0 ? number : local}};
}

std::vector<std::string> lines(const std::vector<HookCall>& calls) {
  std::vector<std::string> lines;
  for (const auto& call : calls) lines.push_back(call.option + " " + expand_hook_command(call.command, call.state));
  return lines;
}

HookCommands all() {
  HookCommands commands;
  commands.on_change = "{{EVENT}} {{PORTS}}";
  commands.on_up = "{{EVENT}} {{PORT}} {{VPN_INTERFACE}}";
  commands.on_down = "{{EVENT}} {{PORTS}}";
  commands.on_lease = "{{EVENT}} {{PORT}} {{PROTOCOL}} {{LOCAL_PORT}}";
  return commands;
}

TEST(HookCalls, EachPortAndThenAllOfThem) {
  EXPECT_THAT(lines(hook_calls(all(), HookEvent::up, "home", {}, {port(1), port(1, Protocol::udp), port(2, Protocol::udp, 53)})),
              ElementsAre("--on-lease lease 1 tcp+udp 1", "--on-lease lease 2 udp 53", "--on-change up 1,2", "--on-up up 1 home"));
}

TEST(HookCalls, OnlyThePortsThatChanged) {
  EXPECT_THAT(
      lines(hook_calls(all(), HookEvent::change, "home", {port(1), port(2), port(3)}, {port(2), port(3, Protocol::tcp, 110), port(4)})),
      ElementsAre("--on-lease end 1 tcp 1", "--on-lease change 3 tcp 110", "--on-lease lease 4 tcp 4", "--on-change change 2,3,4",
                  "--on-up change 2 home"));
}

TEST(HookCalls, DownIsToldWhatWas) {
  EXPECT_THAT(lines(hook_calls(all(), HookEvent::down, "home", {port(1), port(2)}, {})),
              ElementsAre("--on-lease end 1 tcp 1", "--on-lease end 2 tcp 2", "--on-change down ", "--on-down down 1,2"));
}

TEST(HookCalls, UpNeedsAPort) {
  EXPECT_THAT(lines(hook_calls(all(), HookEvent::up, "home", {}, {})), ElementsAre("--on-change up "));
  EXPECT_THAT(hook_calls({}, HookEvent::up, "home", {}, {port(1)}), IsEmpty());
}

}  // namespace
}  // namespace drpf::client
