#include "scan/verdict.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace drpf::scan {
namespace {

TEST(Verdict, ItsReasonNamesTheSenderTheCodeAndTheLocalError) {
  Verdict verdict;
  verdict.cause = Cause::admin_prohibited;
  verdict.sender = *parse_address("203.0.113.9");
  EXPECT_EQ(reason_text(verdict), "admin-prohibited from 203.0.113.9");
  EXPECT_EQ(reason_text({.cause = Cause::other_unreach, .detail = 5}), "unreach (code 5)");
  EXPECT_EQ(reason_text({.cause = Cause::local_error, .detail = EMFILE}), "local-error (Too many open files)");
}

}  // namespace
}  // namespace drpf::scan
