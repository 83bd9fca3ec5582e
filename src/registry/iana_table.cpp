#include "registry/iana_table.h"

#include <algorithm>

#include "registry/name_order.h"

namespace drpf::registry {

namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include <iana_table.inc>
#pragma GCC diagnostic pop

}  // namespace

std::string_view IanaRow::name() const { return {iana_names + name_offset, name_length}; }

std::span<const IanaRow> iana_rows_all() { return iana_rows; }

std::span<const IanaRow> iana_rows_at(Port port) {
  const auto all = iana_rows_all();
  const auto begin = std::lower_bound(all.begin(), all.end(), port.value(),
                                      [](const IanaRow& row, std::uint16_t wanted) { return row.last_port < wanted; });
  auto end = begin;
  while (end != all.end() && end->first_port <= port.value()) ++end;
  return {begin, end};
}

const IanaRow* find_iana_row(Port port, Transport transport) {
  for (const auto& row : iana_rows_at(port))
    if (row.transports().contains(transport)) return &row;
  return nullptr;
}

std::span<const std::uint16_t> iana_rows_named(std::string_view name) {
  struct Order {
    bool operator()(std::uint16_t row, std::string_view wanted) const { return compare_names(iana_rows[row].name(), wanted) < 0; }
    bool operator()(std::string_view wanted, std::uint16_t row) const { return compare_names(wanted, iana_rows[row].name()) < 0; }
  };
  const auto [begin, end] = std::equal_range(std::begin(iana_by_name), std::end(iana_by_name), name, Order{});
  return {begin, end};
}

}  // namespace drpf::registry
