#include "api/time_text.h"

#include <gtest/gtest.h>

#include "api/json_text.h"

namespace drpf::api {
namespace {

TEST(TimeText, ReadsWhatReportsWrite) {
  for (const auto* text : {"2026-03-01T12:00:00Z", "2026-03-01 12:00:00Z", "2026-03-01t12:00:00.123z", "2026-03-01T13:30:00+01:30",
                           "2026-02-28T23:00:00-13:00"}) {
    const auto read = parse_rfc3339(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(rfc3339_utc(*read), "2026-03-01T12:00:00Z") << text;
  }
}

TEST(TimeText, RefusesWhatIsNoTime) {
  for (const auto* text : {"", "now", "2026-03-01", "2026-03-01T12:00:00", "2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z",
                           "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z", "2026-03-01T12:00:00ZZ", "2026-03-01T12:00:00+24:00",
                           "1066-03-01T12:00:00Z", "9999-03-01T12:00:00Z", "2026-03-01T12:00:00.Z", "-026-03-01T12:00:00Z"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

}  // namespace
}  // namespace drpf::api
