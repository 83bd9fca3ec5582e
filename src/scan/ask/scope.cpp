#include "scan/ask/scope.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace drpf::scan {
namespace {

Prefix prefix(std::string_view text) { return *parse_prefix(text); }

struct Never {
  AddressRange range;
  std::string_view why;
};

// Asked under no circumstances: no host has these addresses, or many have.
const std::vector<Never>& never() {
  static const std::vector<Never> list = {
      {range_of(prefix("0.0.0.0/8")), "addresses of this network (RFC 1122, section 3.2.1.3)"},
      {range_of(prefix("224.0.0.0/4")), "multicast"},
      {range_of(prefix("240.0.0.0/4")), "reserved, and the broadcast address"},
      {range_of(prefix("::/128")), "the unspecified address"},
      {range_of(prefix("::ffff:0:0/96")), "IPv4 addresses in IPv6 form: write them as IPv4"},
      {range_of(prefix("ff00::/8")), "multicast"},
  };
  return list;
}

const std::vector<AddressRange>& loopback() {
  static const std::vector<AddressRange> ranges = {range_of(prefix("127.0.0.0/8")), range_of(prefix("::1/128"))};
  return ranges;
}

bool is_loopback(const AddressRange& range) {
  return std::any_of(loopback().begin(), loopback().end(), [&](const auto& one) { return one.contains(range); });
}

void take_out(AddressSet& from, const AddressRange& range, std::string_view why, std::vector<LeftOut>& left_out) {
  const auto common = from.common_with(range);
  for (const auto& part : common.ranges()) left_out.push_back({part, std::string(why)});
  from.remove(range);
}

AddressSet outside(const AddressSet& addresses, const Scope& scope) {
  auto rest = addresses;
  for (const auto& one : private_prefixes()) rest.remove(range_of(one));
  for (const auto& one : loopback()) rest.remove(one);  // what is left of it was named
  for (const auto& one : scope.own) rest.remove(one);
  return rest;
}

std::string count_text(std::uint64_t count) { return count == 1 ? "1 address" : fmt::format("{} addresses", count); }

std::string nothing_left(const std::vector<LeftOut>& left_out) {
  std::string text = "nothing is left to scan";
  for (std::size_t i = 0; i < left_out.size() && i < 3; ++i)
    text += fmt::format("{} {} ({})", i == 0 ? ":" : ",", to_string(left_out[i].range), left_out[i].why);
  return text;
}

}  // namespace

const std::vector<Prefix>& private_prefixes() {
  static const std::vector<Prefix> prefixes = {prefix("10.0.0.0/8"),     prefix("172.16.0.0/12"), prefix("192.168.0.0/16"),
                                               prefix("169.254.0.0/16"), prefix("fc00::/7"),      prefix("fe80::/10")};
  return prefixes;
}

bool lies_in(const Address& address, const Scope& scope) {
  AddressSet set;
  set.add(range_of(address));
  return outside(set, scope).empty();
}

Result<AdmittedTargets> admit(const std::vector<ResolvedTarget>& targets, const Scope& scope, Permissions permissions) {
  AdmittedTargets admitted;
  auto& addresses = admitted.addresses_;
  auto& left_out = admitted.left_out_;
  for (const auto& target : targets) {
    for (const auto& range : target.ranges) {
      if (is_loopback(range)) {
        addresses.add(range);
        continue;
      }
      // Loopback within something larger was not named.
      AddressSet part;
      part.add(range);
      for (const auto& one : loopback()) take_out(part, one, "loopback is asked only when it is named by itself", left_out);
      for (const auto& one : part.ranges()) addresses.add(one);
    }
  }
  for (const auto& one : never()) take_out(addresses, one.range, one.why, left_out);
  for (const auto& one : scope.broadcasts) take_out(addresses, one, "network and broadcast addresses of a network here", left_out);
  for (const auto& one : scope.excluded) take_out(addresses, one, "excluded", left_out);
  if (addresses.empty())
    return fail(refusal("nothing_to_scan", nothing_left(left_out), "name another target; exclude lists win over everything"));
  const auto count = addresses.size();
  if (count > targets_max)
    return fail(refusal("too_many_targets", fmt::format("more than {} addresses are not scanned at once", targets_max),
                        "name fewer, and scan in parts"));
  admitted.vouched_for_ = outside(addresses, scope);
  if (const auto& strange = admitted.vouched_for_; !strange.empty() && !permissions.i_own_these)
    return fail(
        refusal("out_of_scope",
                fmt::format("{} outside of the private and own ranges, the first is {}", count_text(strange.size()),
                            to_string(strange.ranges().front().first)),
                "scan only what is yours: --i-own-these says that these are, and is written down; or add them to /etc/drpf/scan-own"));
  if (count > targets_without_asking_max && !permissions.more_than_65536)
    return fail(
        refusal("too_many_targets", fmt::format("these are {} addresses, more than a /16", count), "if that is meant: --more-than-65536"));
  return admitted;
}

Status admit_zombie(const Address& zombie, const AdmittedTargets& targets, const Scope& scope) {
  const auto strange = [](const Address& address) {
    return fail(refusal("out_of_scope", fmt::format("an idle scan uses only hosts of the scope, and {} lies outside", to_string(address)),
                        "name your own hosts in /etc/drpf/scan-own; --i-own-these does not help here"));
  };
  if (!targets.vouched_for().empty()) return strange(targets.vouched_for().ranges().front().first);
  AddressSet set;
  set.add(range_of(zombie));
  if (!outside(set, scope).empty()) return strange(zombie);
  if (zombie.is_loopback())
    return fail(refusal("out_of_scope", "this machine cannot be the zombie of an idle scan", "name another host of yours"));
  for (const auto& one : never()) set.remove(one.range);
  for (const auto& one : scope.broadcasts) set.remove(one);
  for (const auto& one : scope.excluded) set.remove(one);
  if (set.empty())
    return fail(refusal("out_of_scope", fmt::format("the zombie {} is excluded", to_string(zombie)), "name another host of yours"));
  if (targets.addresses().contains(zombie))
    return fail(refusal("out_of_scope", fmt::format("the zombie {} is among the targets", to_string(zombie)), "leave it out: --exclude"));
  return {};
}

Result<Pace> admit_pace(const WantedPace& wanted) {
  const auto check = [](double rate, std::string_view option) -> Status {
    if (!std::isfinite(rate) || rate <= 0)
      return fail(wrong_usage(fmt::format("{} {} is no rate", option, rate), "give packets per second, e.g. 1000 or 0.5"));
    if (rate < rate_floor)
      return fail(wrong_usage(fmt::format("{} {} is slower than one packet in 17 minutes", option, rate),
                              fmt::format("the least is {}", rate_floor)));
    if (rate > rate_ceiling)
      return fail(wrong_usage(fmt::format("{} {:.0f} is above the ceiling of {:.0f} packets per second", option, rate, rate_ceiling),
                              "faster scans break networks and miss ports; no option lifts the ceiling"));
    return {};
  };
  Pace pace;
  if (wanted.ceiling) {
    if (const auto status = check(*wanted.ceiling, "--max-rate"); !status) return fail(status.error());
    pace.ceiling = *wanted.ceiling;
  }
  if (wanted.start) {
    if (const auto status = check(*wanted.start, "--start-rate"); !status) return fail(status.error());
    if (*wanted.start > pace.ceiling)
      return fail(wrong_usage(fmt::format("--start-rate {} is above --max-rate {}", *wanted.start, pace.ceiling),
                              "raise the one or lower the other"));
    pace.start = wanted.start;
  }
  if (wanted.probes_max) {
    if (*wanted.probes_max == 0 || *wanted.probes_max > probes_per_port_max)
      return fail(wrong_usage(fmt::format("{} probes per port make no scan", *wanted.probes_max),
                              fmt::format("from 1 to {}", probes_per_port_max)));
    pace.probes_max = wanted.probes_max;
  }
  return pace;
}

Result<double> parse_rate(std::string_view text) {
  auto digits = text;
  double factor = 1;
  if (digits.ends_with('k') || digits.ends_with('K')) {
    factor = 1000;
    digits.remove_suffix(1);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value))
    return fail(wrong_usage(fmt::format("'{}' is no rate", text.substr(0, 40)), "give packets per second: 1000, 0.5 or 20k"));
  return value * factor;
}

}  // namespace drpf::scan
