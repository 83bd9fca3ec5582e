// SQLite's C interface as owned objects: a connection and its prepared statements. It knows no tables.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace drpf::store::sqlite {

class Database;

Error disk_full(const std::string& path, std::string_view reason);
std::string damaged_cure(const std::string& path);

// Bind, step, read, reset. Errors of binding are kept and come out of the next step.
class Statement {
 public:
  Statement() = default;

  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view value);
  Statement& bind(ByteView value);
  Statement& bind_null();
  template <class T>
  Statement& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }

  // For statements without rows: runs it to its end and makes it ready for the next use.
  Status run();
  // True: a row is there. After the last row, or an error, the statement is ready for the next use.
  Result<bool> step();
  void reset();

  // Columns in order, of the row that step() found.
  std::int64_t integer();
  std::string text();
  Bytes blob();
  bool next_is_null();
  void skip() { ++column_; }

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  Database* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  int parameter_ = 0;
  int column_ = 0;
  int error_ = SQLITE_OK;
};

class Database {
 public:
  // The file must exist. `path` goes into every message.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  // A private copy in memory of a database that is at rest (its journal is empty); nothing is written back.
  static Result<std::unique_ptr<Database>> from_image(ByteView image, const std::string& path);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<Statement> prepare(std::string_view sql);
  // Several statements without results.
  Status execute(const std::string& sql);
  Result<std::int64_t> integer(std::string_view sql);
  Result<std::string> text(std::string_view sql);
  // The whole database as one file that needs no journal beside it, as it was last committed.
  Result<Bytes> image();
  bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
  const std::string& path() const { return path_; }

  // What went wrong with `code` while `doing`, with the cure where there is a known one.
  Error error(int code, std::string_view doing) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  Database(std::string path, std::unique_ptr<sqlite3, Close> handle) : path_(std::move(path)), handle_(std::move(handle)) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace drpf::store::sqlite
