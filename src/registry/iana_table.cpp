#include "registry/iana_table.h"

#include <algorithm>

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

}  // namespace drpf::registry
