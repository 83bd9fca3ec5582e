#include "scan/ask/address_set.h"

#include <algorithm>
#include <array>
#include <limits>

namespace drpf::scan {
namespace {

constexpr auto greatest = std::numeric_limits<std::uint64_t>::max();

// The address as two halves of 64 bits; IPv4 in the lower one.
struct Halves {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

Halves halves_of(const Address& address) {
  Halves halves;
  for (const auto byte : address.bytes()) {
    halves.high = halves.high << 8 | halves.low >> 56;
    halves.low = halves.low << 8 | byte;
  }
  return halves;
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) { return a > greatest - b ? greatest : a + b; }

Address with_bytes(std::array<std::uint8_t, 16>& bytes, const Address& like) {
  return Address::from_bytes(std::span<const std::uint8_t>(bytes).first(like.bytes().size()));
}

std::array<std::uint8_t, 16> copy_of(const Address& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(address.bytes().begin(), address.bytes().end(), bytes.begin());
  return bytes;
}

// The prefix that is just this range, if one is.
std::optional<Prefix> prefix_of(const AddressRange& range) {
  for (unsigned length = 0; length <= range.first.bits(); ++length) {
    const Prefix prefix(range.first, length);
    if (range_of(prefix) == range) return prefix;
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t AddressRange::size() const {
  const auto a = halves_of(first);
  const auto b = halves_of(last);
  const std::uint64_t borrowed = b.low < a.low ? 1 : 0;
  return b.high - a.high - borrowed > 0 ? greatest : plus(b.low - a.low, 1);
}

AddressRange range_of(const Prefix& prefix) {
  auto bytes = copy_of(prefix.address());
  for (unsigned bit = prefix.length(); bit < prefix.address().bits(); ++bit) bytes[bit / 8] |= static_cast<std::uint8_t>(0x80U >> bit % 8);
  return {prefix.address(), with_bytes(bytes, prefix.address())};
}

AddressRange range_of(const Address& address) { return {address, address}; }

std::string to_string(const AddressRange& range) {
  if (range.first == range.last) return drpf::to_string(range.first);
  if (const auto prefix = prefix_of(range)) return drpf::to_string(*prefix);
  return drpf::to_string(range.first) + "-" + drpf::to_string(range.last);
}

std::optional<Address> next(const Address& address) {
  auto bytes = copy_of(address);
  for (auto i = address.bytes().size(); i-- > 0;)
    if (++bytes[i] != 0) return with_bytes(bytes, address);
  return std::nullopt;
}

std::optional<Address> previous(const Address& address) {
  auto bytes = copy_of(address);
  for (auto i = address.bytes().size(); i-- > 0;)
    if (bytes[i]-- != 0) return with_bytes(bytes, address);
  return std::nullopt;
}

void AddressSet::add(const AddressRange& range) {
  // Ranges that touch become one.
  const auto low = previous(range.first).value_or(range.first);
  const auto high = next(range.last).value_or(range.last);
  const auto reaches = [&](const auto& one) { return one.last >= low && one.last.family() == range.first.family(); };
  const auto begin = std::partition_point(ranges_.begin(), ranges_.end(), [&](const auto& one) {
    return one.first.family() < range.first.family() || (one.first.family() == range.first.family() && !reaches(one));
  });
  auto end = begin;
  AddressRange whole = range;
  for (; end != ranges_.end() && end->first.family() == range.first.family() && end->first <= high; ++end) {
    whole.first = std::min(whole.first, end->first);
    whole.last = std::max(whole.last, end->last);
  }
  if (begin == end) {
    ranges_.insert(begin, whole);
  } else {
    *begin = whole;
    ranges_.erase(begin + 1, end);
  }
}

void AddressSet::remove(const AddressRange& range) {
  std::vector<AddressRange> kept;
  for (const auto& one : ranges_) {
    if (!one.overlaps(range)) {
      kept.push_back(one);
      continue;
    }
    if (one.first < range.first) kept.push_back({one.first, *previous(range.first)});
    if (range.last < one.last) kept.push_back({*next(range.last), one.last});
  }
  ranges_ = std::move(kept);
}

bool AddressSet::contains(const Address& address) const { return contains(range_of(address)); }

bool AddressSet::contains(const AddressRange& range) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const auto& one) { return one.contains(range); });
}

AddressSet AddressSet::common_with(const AddressRange& range) const {
  AddressSet common;
  for (const auto& one : ranges_)
    if (one.overlaps(range)) common.ranges_.push_back({std::max(one.first, range.first), std::min(one.last, range.last)});
  return common;
}

std::uint64_t AddressSet::size() const {
  std::uint64_t sum = 0;
  for (const auto& one : ranges_) sum = plus(sum, one.size());
  return sum;
}

std::vector<Address> AddressSet::addresses() const {
  std::vector<Address> all;
  all.reserve(size());
  for (const auto& one : ranges_) {
    auto address = one.first;
    all.push_back(address);
    while (address != one.last) all.push_back(address = *next(address));
  }
  return all;
}

}  // namespace drpf::scan
