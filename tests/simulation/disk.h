// Where the store keeps its records: what a crash leaves of it. In memory, or a real SQLite file whose image is taken at the crash.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "simulation/durable.h"
#include "store/store.h"
#include "support/memory_store.h"

namespace drpf::simulation {

class Disk {
 public:
  virtual ~Disk() = default;
  // The store as a new process finds it; valid until crash().
  virtual Result<store::Store*> open() = 0;
  // The process is gone. `doubtful`: what was written last without success is there after all.
  virtual void crash(bool doubtful) = 0;
  // Writes what will only be there after crash(true). False: this disk cannot do that.
  virtual bool doubt(const lease::Transaction& transaction, const store::Credentials& credentials, const store::ClockReading& now) = 0;
  virtual void settle() = 0;  // a later commit has succeeded
};

class MemoryDisk final : public Disk {
 public:
  Result<store::Store*> open() override { return &store_; }
  void crash(bool doubtful) override {
    if (doubtful && doubt_) store_ = *doubt_;
    doubt_.reset();
  }
  bool doubt(const lease::Transaction& transaction, const store::Credentials& credentials, const store::ClockReading& now) override {
    doubt_ = store_;
    return doubt_->commit_with(transaction, credentials, now).has_value();
  }
  void settle() override { doubt_.reset(); }

 private:
  tests::MemoryStore store_;
  std::optional<tests::MemoryStore> doubt_;
};

class SqliteDisk final : public Disk {
 public:
  SqliteDisk();
  ~SqliteDisk() override;
  Result<store::Store*> open() override;
  void crash(bool doubtful) override;
  bool doubt(const lease::Transaction&, const store::Credentials&, const store::ClockReading&) override { return false; }
  void settle() override {}

 private:
  std::filesystem::path folder() const { return root_ / std::to_string(life_); }
  std::filesystem::path root_;
  int life_ = 0;
  std::unique_ptr<store::Store> store_;
};

}  // namespace drpf::simulation
