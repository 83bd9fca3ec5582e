#include "daemon/machine_note.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temporary_folder.h"

namespace drpf::daemon {
namespace {

TEST(MachineNote, ACopyThatRunsElsewhereIsNoticedOnce) {
  const test::TemporaryFolder folder;
  const auto mark_of = [&](const char* number) {
    std::ofstream(folder / "id") << number << "\n";
    return machine_mark(folder / "id");
  };
  const auto here = mark_of("0123456789abcdef0123456789abcdef");
  const auto there = mark_of("0123456789abcdef0123456789abcdee");
  ASSERT_TRUE(here && there);
  EXPECT_NE(*here, *there);
  EXPECT_EQ(here->find("0123456789"), std::string::npos) << "the number itself is nobody's affair";
  for (const auto* none : {"", "uninitialized", "0123", "0123456789abcdef0123456789abcdefff"}) EXPECT_FALSE(mark_of(none)) << none;
  EXPECT_FALSE(machine_mark(folder / "absent"));

  const std::string state = folder / "";
  EXPECT_FALSE(was_elsewhere(state, *here).value()) << "nothing is known of the time before";
  EXPECT_FALSE(was_elsewhere(state, *here).value());
  EXPECT_TRUE(was_elsewhere(state, *there).value());
  EXPECT_FALSE(was_elsewhere(state, *there).value());
  EXPECT_FALSE(was_elsewhere(folder / "no-such-folder", *here));
}

}  // namespace
}  // namespace drpf::daemon
