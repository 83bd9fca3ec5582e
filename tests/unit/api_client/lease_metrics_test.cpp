#include "api_client/lease_metrics.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/temporary_folder.h"

namespace drpf::api_client {
namespace {

int code_of(std::string_view finding) { return finding == "answers" ? 0 : 10; }

TEST(LeaseMetrics, TellOfEveryAddress) {
  const auto tested = boost::json::parse(R"([
    {"public_address":"198.51.100.1","public_port":24550,"protocol":"tcp","device":"laptop","finding":"answers","visit":{"round_trip_ms":1.25}},
    {"public_address":"2001:db8::1","public_port":24550,"protocol":"udp","device":"a\"b\\c\nd","finding":"nobody_listens","visit":null},
    {"public_address":"198.51.100.1","public_port":3,"protocol":"udp","device":null,"finding":"else","visit":{"round_trip_ms":null}}])");
  EXPECT_EQ(lease_metrics(tested.as_array(), code_of, std::chrono::seconds(1'772'366'400)),
            R"(# HELP drpf_lease_answers Whether the leased port answered when it was tested last.
# TYPE drpf_lease_answers gauge
drpf_lease_answers{address="198.51.100.1",port="24550",protocol="tcp",device="laptop"} 1
drpf_lease_answers{address="2001:db8::1",port="24550",protocol="udp",device="a\"b\\c\nd"} 0
drpf_lease_answers{address="198.51.100.1",port="3",protocol="udp",device=""} 0
# HELP drpf_lease_finding What was found, as the exit code of drpf lease test: 0 = it answers.
# TYPE drpf_lease_finding gauge
drpf_lease_finding{address="198.51.100.1",port="24550",protocol="tcp",device="laptop"} 0
drpf_lease_finding{address="2001:db8::1",port="24550",protocol="udp",device="a\"b\\c\nd"} 10
drpf_lease_finding{address="198.51.100.1",port="3",protocol="udp",device=""} 10
# HELP drpf_lease_round_trip_seconds From the visit to its answer, where there was one.
# TYPE drpf_lease_round_trip_seconds gauge
drpf_lease_round_trip_seconds{address="198.51.100.1",port="24550",protocol="tcp",device="laptop"} 0.001250
# HELP drpf_lease_tested_timestamp_seconds When these leases were tested.
# TYPE drpf_lease_tested_timestamp_seconds gauge
drpf_lease_tested_timestamp_seconds 1772366400
)");
}

TEST(LeaseMetrics, AreWrittenWholeOrNotAtAll) {
  const test::TemporaryFolder folder;
  const auto path = folder / "leases.prom";
  for (const auto* text : {"one\n", "two\n"}) {
    ASSERT_TRUE(write_metrics(path, text));
    std::ostringstream content;
    content << std::ifstream(path).rdbuf();
    EXPECT_EQ(content.str(), text);
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  const auto refused = write_metrics(folder / "nowhere/leases.prom", "x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "metrics_not_written");
}

}  // namespace
}  // namespace drpf::api_client
