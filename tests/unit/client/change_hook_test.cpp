#include "client/ports/change_hook.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

HookState state(HookEvent event, std::vector<Port> ports) {
  HookState state;
  state.event = event;
  state.ports = std::move(ports);
  state.interface = "home";
  state.public_address = "198.51.100.1";
  return state;
}
HookCall call(std::string command, HookState state, std::string subject = "all") {
  return {"--on-change", std::move(command), std::move(subject), std::move(state)};
}

class ChangeHookRun : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "drpf_hook_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string written() const {
    std::ifstream file(folder / "out");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::filesystem::path folder;
  net::EventLoop loop;
  std::vector<std::string> complaints;
  std::function<void(std::string)> complain = [this](std::string text) { complaints.push_back(std::move(text)); };
};

TEST(HookCommand, FillsTemplates) {
  EXPECT_EQ(expand_hook_command("set {{PORTS}} {{PORT}} {{VPN_INTERFACE}} {{PORT}}", state(HookEvent::up, {Port{20000}, Port{20001}})),
            "set 20000,20001 20000 home 20000");
  EXPECT_EQ(expand_hook_command("set '{{PORT}}'", state(HookEvent::down, {})), "set ''");
  auto one = state(HookEvent::lease, {Port{20000}, Port{20001}});
  one.lease = HookState::Lease{Port{20001}, "tcp+udp", Port{110}};
  EXPECT_EQ(expand_hook_command("{{EVENT}} {{PORT}} {{PROTOCOL}} {{LOCAL_PORT}} {{PORTS}}", one), "lease 20001 tcp+udp 110 20000,20001");
  EXPECT_EQ(expand_hook_command("no template", state(HookEvent::up, {})), "no template");
}

TEST(HookCommand, NamesItsVariables) {
  EXPECT_THAT(hook_environment(state(HookEvent::change, {Port{20000}, Port{20001}})),
              ElementsAre("DRPF_EVENT=change", "DRPF_PORTS=20000,20001", "DRPF_PORT=20000", "DRPF_INTERFACE=home",
                          "DRPF_PUBLIC_ADDRESS=198.51.100.1"));
  auto one = state(HookEvent::end, {});
  one.lease = HookState::Lease{Port{20001}, "udp", Port{53}};
  EXPECT_THAT(hook_environment(one),
              testing::IsSupersetOf({"DRPF_EVENT=end", "DRPF_PORTS=", "DRPF_PORT=20001", "DRPF_PROTOCOL=udp", "DRPF_LOCAL_PORT=53"}));
}

TEST_F(ChangeHookRun, RunsWithVariables) {
  ChangeHook hook(loop, complain);
  hook.tell(call("echo $DRPF_EVENT $DRPF_PORTS $DRPF_INTERFACE {{PORT}} >>" + (folder / "out").string(),
                 state(HookEvent::up, {Port{1}, Port{2}})));
  hook.stop();
  EXPECT_EQ(written(), "up 1,2 home 1\n");
  EXPECT_THAT(complaints, IsEmpty());
}

TEST_F(ChangeHookRun, TheLastStateWinsAndTwoNeverRunAtOnce) {
  // The first run waits until the test has told three more states; only the last of these is run.
  const auto gate = (folder / "gate").string();
  const auto begun = (folder / "begun").string();
  const auto out = (folder / "out").string();
  const auto command = ("mkdir " + (folder / "lock").string() + " || echo overlap >>" + out + "; touch " + begun + "; while [ ! -e " +
                        gate + " ]; do sleep 0.01; done; echo $DRPF_PORT >>" + out + "; rmdir " + (folder / "lock").string());
  ChangeHook hook(loop, complain);
  hook.tell(call(command, state(HookEvent::up, {Port{1}})));
  while (!std::filesystem::exists(begun)) ::usleep(1000);
  hook.tell(call(command, state(HookEvent::change, {Port{2}})));
  hook.tell(call(command, state(HookEvent::change, {Port{3}})));
  hook.tell(call(command, state(HookEvent::down, {Port{4}})));
  std::ofstream(gate).put('x');
  hook.stop();
  EXPECT_EQ(written(), "1\n4\n");
}

TEST_F(ChangeHookRun, WhatIsAboutDifferentPortsIsAllRunInOrder) {
  const auto command = "echo {{EVENT}} {{PORT}} >>" + (folder / "out").string();
  const auto gate = (folder / "gate").string();
  ChangeHook hook(loop, complain);
  hook.tell(call("while [ ! -e " + gate + " ]; do sleep 0.01; done", state(HookEvent::up, {}), "first"));
  hook.tell(call(command, state(HookEvent::lease, {Port{1}}), "1"));
  hook.tell(call(command, state(HookEvent::lease, {Port{2}}), "2"));
  hook.tell(call(command, state(HookEvent::end, {Port{1}}), "1"));
  std::ofstream(gate).put('x');
  hook.stop();
  EXPECT_EQ(written(), "lease 2\nend 1\n");
}

TEST_F(ChangeHookRun, EndsACommandThatHangs) {
  ChangeHook hook(loop, complain, std::chrono::milliseconds(50));
  hook.tell(call("sleep 1000", state(HookEvent::up, {})));
  hook.stop();
  EXPECT_THAT(complaints, ElementsAre(HasSubstr("was ended")));
}

TEST_F(ChangeHookRun, TellsOfFailure) {
  ChangeHook hook(loop, complain);
  hook.tell(call("exit 3", state(HookEvent::up, {})));
  hook.stop();
  EXPECT_THAT(complaints, ElementsAre(HasSubstr("--on-change failed with exit code 3")));
}

}  // namespace
}  // namespace drpf::client
