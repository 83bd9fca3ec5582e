// Ranges and sets of IP addresses of both families. Knows no scope: which addresses may be asked is decided in scope.h.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/address.h"

namespace drpf::scan {

// first..last, both included, of one family; first <= last.
struct AddressRange {
  Address first;
  Address last;

  bool contains(const Address& address) const { return first <= address && address <= last; }
  bool contains(const AddressRange& other) const { return first <= other.first && other.last <= last; }
  bool overlaps(const AddressRange& other) const { return first <= other.last && other.first <= last; }
  std::uint64_t size() const;  // held at the greatest number where there are more
  bool operator==(const AddressRange&) const = default;
};

AddressRange range_of(const Prefix& prefix);
AddressRange range_of(const Address& address);
std::string to_string(const AddressRange& range);  // "10.0.0.1-10.0.0.20"; one address as it is; a whole prefix as "10.0.0.0/24"

// Nothing after the last and before the first address of a family.
std::optional<Address> next(const Address& address);
std::optional<Address> previous(const Address& address);

// Each address once, in order: IPv4 before IPv6.
class AddressSet {
 public:
  AddressSet() = default;
  void add(const AddressRange& range);
  void remove(const AddressRange& range);
  bool contains(const Address& address) const;
  bool contains(const AddressRange& range) const;
  AddressSet common_with(const AddressRange& range) const;
  bool empty() const { return ranges_.empty(); }
  std::uint64_t size() const;  // held at the greatest number where there are more
  std::span<const AddressRange> ranges() const& { return ranges_; }
  std::span<const AddressRange> ranges() const&& = delete;
  std::vector<Address> addresses() const;  // ask size() before
  bool operator==(const AddressSet&) const = default;

 private:
  std::vector<AddressRange> ranges_;  // ascending, neither touching nor overlapping
};

}  // namespace drpf::scan
