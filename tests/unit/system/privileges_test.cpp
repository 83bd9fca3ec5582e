#include "system/privileges.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "system/process.h"

namespace drpf::system {
namespace {

// A field of /proc/self/status.
std::string own(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) return line.substr(line.find_last_of(" \t") + 1);
  return {};
}

std::uint64_t mask(const std::string& field) { return std::strtoull(own(field).c_str(), nullptr, 16); }

TEST(MayUse, GoesByTheModeOfTheFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "device";
  std::ofstream(path) << "x";
  const auto owner = ::geteuid();
  const auto group = ::getegid();
  const User own{"own", owner, group + 1};
  const User peer{"peer", owner + 1, group};
  const User other{"other", owner + 1, group + 1};
  const std::vector<std::tuple<unsigned, bool, bool, bool>> modes{{0666, true, true, true},
                                                                  {0660, true, true, false},
                                                                  {0600, true, false, false},
                                                                  {0466, false, true, true},
                                                                  {0606, true, false, true}};
  for (const auto& [mode, own_may, peer_may, other_may] : modes) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(may_use(own, path), own_may) << mode;
    EXPECT_EQ(may_use(peer, path), peer_may) << mode;
    EXPECT_EQ(may_use(other, path), other_may) << mode;
  }
  EXPECT_TRUE(may_use(other, folder / "absent")) << "what is missing is said by who needs it";
}

// Runs in a child, since what is given up does not come back; true if `body` returned true.
template <class Body>
bool in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Privileges, OnlyWhatIsKeptIsLeftInAnySet) {
  const auto kept = CapabilitySet{Capability::net_admin}.bits();
  EXPECT_TRUE(in_child([&] {
    const auto before = mask("CapPrm");
    if (!give_up_privileges({Capability::net_admin}, std::nullopt)) return false;
    const bool bounded = ::geteuid() != 0 || (mask("CapBnd") & ~kept) == 0;
    return mask("CapPrm") == (before & kept) && mask("CapEff") == (before & kept) && mask("CapInh") == 0 && mask("CapAmb") == 0 &&
           bounded && own("NoNewPrivs") == "1";
  }));
}

TEST(Privileges, AProgramGetsNothingUnlessItIsLent) {
  EXPECT_TRUE(in_child([] {
    const auto before = mask("CapPrm");
    if (!give_up_privileges({Capability::net_admin}, std::nullopt)) return false;
    const Command plain{.arguments = {"sh", "-c", "grep ^CapEff: /proc/self/status"}};
    auto lent = plain;
    lent.prepare = [] { return lend_to_program({Capability::net_admin}); };
    const auto without = run(plain, std::chrono::seconds(10));
    const auto with = run(lent, std::chrono::seconds(10));
    const auto net_admin = CapabilitySet{Capability::net_admin}.bits() & before;
    const auto effective = [](const Output& output) {
      return std::strtoull(output.out.substr(output.out.find(':') + 1).c_str(), nullptr, 16);
    };
    return without && effective(*without) == 0 && with && effective(*with) == net_admin;
  }));
}

TEST(Privileges, NoCoreDumpAndNoLookFromOutside) {
  EXPECT_TRUE(in_child([] {
    (void)hide_memory();
    rlimit core{};
    return ::getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 && ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
  }));
}

TEST(Privileges, DescriptorsAreRaisedAsFarAsAllowed) {
  EXPECT_TRUE(in_child([] {
    const rlimit low{64, 4096};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return false;
    return allow_descriptors(32) == 64 && allow_descriptors(4096) == 4096 && allow_descriptors(1'000'000'000) >= 4096;
  }));
}

TEST(Privileges, AnUnknownUserIsNotFound) {
  EXPECT_FALSE(find_user("nobody-has-this-name"));
  const auto root = find_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
}

}  // namespace
}  // namespace drpf::system
