// The history of leases in a file of its own, history.db in the state directory: short-lived, and deletable without harm to any lease.
// Written without waiting for the disk: a power cut may cost its last seconds, a killed process nothing.
#pragma once

#include <filesystem>
#include <memory>

#include "store/lease_history.h"
#include "store/sqlite/database.h"

namespace drpf::store::sqlite {

class SqliteLeaseHistory final : public LeaseHistory {
 public:
  static constexpr const char* file_name = "history.db";

  // The directory is the state directory, whose lock the store holds.
  static Result<std::unique_ptr<SqliteLeaseHistory>> open(const std::filesystem::path& directory, std::size_t rows_kept_max = rows_max);

  Status record(std::span<const lease::Redirection> ended, std::span<const Begun> begun, WallTime now) override;
  Status resume(std::span<const Begun> alive, WallTime now) override;
  Result<std::vector<PastLease>> find(const HistoryQuery& query) override;
  Status forget(WallTime ended_before) override;

 private:
  explicit SqliteLeaseHistory(std::size_t rows_kept_max) : rows_kept_max_(rows_kept_max) {}
  Status prepare();
  template <class Body>
  Status atomically(Body body);
  Status end(const lease::Redirection& redirection, std::int64_t now);
  Status begin(const Begun& begun, std::int64_t now);

  const std::size_t rows_kept_max_;
  std::unique_ptr<Database> database_;
  Statement begin_transaction_, commit_, rollback_, insert_, end_generation_, end_port_, open_, end_row_, find_, forget_, shorten_;
};

}  // namespace drpf::store::sqlite
