#include "store/sqlite/database.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "store/sqlite/wiped_memory.h"

namespace drpf::store::sqlite {

namespace {
// How long another process (a backup, an operator's sqlite3) may hold the file before we give up.
constexpr int busy_timeout_ms = 2000;
// Where the file's header says whether it has a write-ahead journal (SQLite file format, section 1.3.3): 2 = yes, 1 = no.
constexpr std::size_t write_version_at = 18;
constexpr std::size_t read_version_at = 19;

struct FreeImage {
  void operator()(unsigned char* image) const { sqlite3_free(image); }
};
using Image = std::unique_ptr<unsigned char, FreeImage>;
}  // namespace

Statement& Statement::bind(std::int64_t value) {
  const int result = sqlite3_bind_int64(handle_.get(), ++parameter_, value);
  if (error_ == SQLITE_OK) error_ = result;
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  const int result = sqlite3_bind_text64(handle_.get(), ++parameter_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (error_ == SQLITE_OK) error_ = result;
  return *this;
}

Statement& Statement::bind(ByteView value) {
  const int result = sqlite3_bind_blob64(handle_.get(), ++parameter_, value.data(), value.size(), SQLITE_TRANSIENT);
  if (error_ == SQLITE_OK) error_ = result;
  return *this;
}

Statement& Statement::bind_null() {
  const int result = sqlite3_bind_null(handle_.get(), ++parameter_);
  if (error_ == SQLITE_OK) error_ = result;
  return *this;
}

Status Statement::run() {
  const auto row = step();
  if (!row) return fail(row.error());
  if (*row) reset();
  return {};
}

Result<bool> Statement::step() {
  column_ = 0;
  const int result = error_ != SQLITE_OK ? error_ : sqlite3_step(handle_.get());
  if (result == SQLITE_ROW) return true;
  std::optional<Error> error;
  if (result != SQLITE_DONE) error = database_->error(result, fmt::format("running '{}'", sqlite3_sql(handle_.get())));
  reset();
  if (error) return fail(std::move(*error));
  return false;
}

void Statement::reset() {
  sqlite3_reset(handle_.get());
  sqlite3_clear_bindings(handle_.get());
  parameter_ = 0;
  column_ = 0;
  error_ = SQLITE_OK;
}

std::int64_t Statement::integer() { return sqlite3_column_int64(handle_.get(), column_++); }

std::string Statement::text() {
  const auto* bytes = static_cast<const char*>(static_cast<const void*>(sqlite3_column_text(handle_.get(), column_)));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column_++));
  return bytes ? std::string(bytes, size) : std::string();
}

Bytes Statement::blob() {
  const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_.get(), column_));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column_++));
  return bytes ? Bytes(bytes, bytes + size) : Bytes();
}

bool Statement::next_is_null() { return sqlite3_column_type(handle_.get(), column_) == SQLITE_NULL; }

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  sqlite3* handle = nullptr;
  wipe_freed_memory();
  const int result = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  std::unique_ptr<sqlite3, Close> owned(handle);  // it must be closed after a failure too
  std::unique_ptr<Database> database(new Database(path, std::move(owned)));
  if (result != SQLITE_OK) return fail(database->error(result, "opening it"));
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  return database;
}

Result<std::unique_ptr<Database>> Database::from_image(ByteView image, const std::string& path) {
  sqlite3* handle = nullptr;
  wipe_freed_memory();
  const int opened = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<sqlite3, Close> owned(handle);
  std::unique_ptr<Database> database(new Database(path, std::move(owned)));
  if (opened != SQLITE_OK) return fail(database->error(opened, "opening it"));
  sqlite3_extended_result_codes(handle, 1);
  if (image.size() <= read_version_at) return fail(database->error(SQLITE_NOTADB, "opening it"));
  Image copy(static_cast<unsigned char*>(sqlite3_malloc64(image.size())));
  if (!copy) return fail(database->error(SQLITE_NOMEM, "opening it"));
  std::memcpy(copy.get(), image.data(), image.size());
  copy.get()[write_version_at] = copy.get()[read_version_at] = 1;
  const auto size = static_cast<sqlite3_int64>(image.size());
  // SQLite frees the copy from here on, whatever happens.
  const int taken =
      sqlite3_deserialize(handle, "main", copy.release(), size, size, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  if (taken != SQLITE_OK) return fail(database->error(taken, "opening it"));
  return database;
}

Result<Bytes> Database::image() {
  sqlite3_int64 size = 0;
  const Image image(sqlite3_serialize(handle_.get(), "main", &size, 0));
  if (!image || size <= static_cast<sqlite3_int64>(read_version_at)) return fail(error(sqlite3_errcode(handle_.get()), "copying it"));
  Bytes bytes(image.get(), image.get() + size);
  bytes[write_version_at] = bytes[read_version_at] = 1;
  return bytes;
}

Result<Statement> Database::prepare(std::string_view sql) {
  Statement statement;
  sqlite3_stmt* handle = nullptr;
  const int result =
      sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  statement.handle_.reset(handle);
  statement.database_ = this;
  if (result != SQLITE_OK) return fail(error(result, fmt::format("preparing '{}'", sql)));
  return statement;
}

Status Database::execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return fail(error(result, fmt::format("running '{}'", sql)));
  return {};
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  const auto row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->integer() : 0;
}

Result<std::string> Database::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  const auto row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->text() : std::string();
}

std::string damaged_cure(const std::string& path) {
  return fmt::format(
      "`drpf restore FILE` puts a backup in its place and keeps it beside; or move {} away to begin with an empty book. It was "
      "not changed, and what the kernel forwards goes on until each lease's end",
      path);
}

Error disk_full(const std::string& path, std::string_view reason) {
  return failure("disk_full", fmt::format("{} cannot grow: the disk is full ({})", path, reason),
                 fmt::format("free space on the file system of {}; leases that are there are renewed and released meanwhile", path));
}

Error Database::error(int code, std::string_view doing) const {
  const int system_error = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  const auto* reason = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
  switch (code & 0xff) {  // the primary part of an extended code
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return failure("database_corrupt", fmt::format("{} is damaged or not a database ({})", path_, reason), damaged_cure(path_));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return failure("database_in_use", fmt::format("{} is in use by another process", path_),
                     "end the other drpf gateway or the program that has the file open, or choose another --state directory");
    case SQLITE_FULL:
      return disk_full(path_, fmt::format("{}: {}", doing, reason));
    case SQLITE_CONSTRAINT:
      return failure("record_refused", fmt::format("{} refuses a record that contradicts the others ({})", path_, reason), "");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return failure("database_not_writable", fmt::format("{} cannot be written ({}: {})", path_, doing, reason),
                     "check the owner and the mode of the file and its directory");
    case SQLITE_IOERR:
      if (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG)
        return disk_full(path_, fmt::format("{}: {}", doing, std::strerror(system_error)));
      if (system_error == EROFS)
        return failure(
            "database_not_writable", fmt::format("{} cannot be written: its file system is read-only ({})", path_, doing),
            "look into the kernel's log for why (a failing disk?), then mount it writable again; what the kernel forwards goes on "
            "until each lease's end");
      return failure(
          "database_failed",
          fmt::format("{}: {}: {}{}{}", path_, doing, reason, system_error ? ": " : "", system_error ? std::strerror(system_error) : ""),
          "look into the kernel's log: the disk may be failing");
    default:
      return failure("database_failed", fmt::format("{}: {}: {}", path_, doing, reason), "");
  }
}

}  // namespace drpf::store::sqlite
