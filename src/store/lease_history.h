// Who held which public port when, for a limited time: the answer to "address, port, time: who was that?". Beside the store and not in it:
// no lease depends on it. It knows nothing of visitors.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/transaction.h"

namespace drpf::store {

struct PastLease {
  Address public_address;
  Port public_port;
  Protocol protocol{};
  std::string account;  // the names at the time; both may be gone
  std::string device;
  WallTime from{};
  std::optional<WallTime> until;  // none = it still leads there
  bool operator==(const PastLease&) const = default;
};

// Everything that overlaps [from, to].
struct HistoryQuery {
  Address public_address;
  Port public_port;
  std::optional<Protocol> protocol;
  WallTime from{};
  WallTime to{};
};

class LeaseHistory {
 public:
  static constexpr std::size_t answers_max = 100;
  static constexpr std::size_t rows_max = 2'000'000;  // of the account with the most, the oldest ended ones go first

  struct Begun {
    lease::Redirection redirection;
    std::string account;
    std::string device;
  };

  virtual ~LeaseHistory() = default;

  // Call before the kernel is told, so that nothing leads anywhere that is not written down.
  virtual Status record(std::span<const lease::Redirection> ended, std::span<const Begun> begun, WallTime now) = 0;
  // At a start: what was open and is not in `alive` has ended, at the latest now.
  virtual Status resume(std::span<const Begun> alive, WallTime now) = 0;
  virtual Result<std::vector<PastLease>> find(const HistoryQuery& query) = 0;  // the newest first, at most answers_max
  virtual Status forget(WallTime ended_before) = 0;
};

}  // namespace drpf::store
