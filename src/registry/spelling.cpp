#include "registry/spelling.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "registry/name_order.h"

namespace drpf::registry {

std::size_t spelling_distance(std::string_view written, std::string_view known, std::size_t distance_max) {
  const auto apart = written.size() > known.size() ? written.size() - known.size() : known.size() - written.size();
  if (apart > distance_max) return distance_max + 1;
  // Optimal string alignment: three rows of the table are enough, because a swap looks two back.
  std::vector<std::size_t> before(known.size() + 1);
  std::vector<std::size_t> above(known.size() + 1);
  std::vector<std::size_t> row(known.size() + 1);
  for (std::size_t j = 0; j <= known.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= written.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= known.size(); ++j) {
      const bool same = lower(written[i - 1]) == lower(known[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0U : 1U)});
      if (i > 1 && j > 1 && lower(written[i - 1]) == lower(known[j - 2]) && lower(written[i - 2]) == lower(known[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return std::min(above[known.size()], distance_max + 1);
}

}  // namespace drpf::registry
