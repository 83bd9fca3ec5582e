#include "protocol/wireguard/tai64n.h"

#include <algorithm>

#include "core/bytes.h"

namespace drpf::protocol::wireguard {
namespace {

constexpr std::int64_t nanoseconds_per_second = 1'000'000'000;
// TAI64 label of the Unix epoch: 2^62 and the 10 seconds by which TAI was ahead in 1970.
constexpr std::uint64_t unix_epoch = (std::uint64_t{1} << 62) + 10;
constexpr std::uint32_t whitening_mask = 0x00ffffff;

Timestamp encode(std::uint64_t seconds, std::uint32_t nanoseconds) {
  ByteWriter writer;
  writer.u64_be(seconds).u32_be(nanoseconds);
  Timestamp stamp{};
  std::copy(writer.view().begin(), writer.view().end(), stamp.begin());
  return stamp;
}

Timestamp just_after(const Timestamp& stamp) {
  ByteReader reader(stamp);
  auto seconds = reader.u64_be();
  auto nanoseconds = reader.u32_be() + 1;
  if (nanoseconds >= nanoseconds_per_second) {
    ++seconds;
    nanoseconds = 0;
  }
  return encode(seconds, nanoseconds);
}

}  // namespace

Timestamp tai64n(WallTime wall) {
  const auto since_epoch = wall.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto nanoseconds = static_cast<std::uint32_t>((since_epoch - seconds).count());
  return encode(unix_epoch + static_cast<std::uint64_t>(seconds.count()), nanoseconds & ~whitening_mask);
}

WallTime wall_time(const Timestamp& stamp) {
  constexpr auto latest = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::seconds>(Duration::max()).count());
  ByteReader reader(stamp);
  const auto seconds = reader.u64_be();
  return WallTime(std::chrono::seconds(seconds < unix_epoch ? 0 : std::min(seconds - unix_epoch, latest)));
}

Timestamp one_second_after(const Timestamp& stamp) {
  ByteReader reader(stamp);
  const auto seconds = reader.u64_be();
  return encode(seconds + 1, reader.u32_be());
}

Timestamp TimestampSource::next(WallTime wall) {
  last_ = std::max(tai64n(wall), just_after(last_));
  return last_;
}

}  // namespace drpf::protocol::wireguard
