#include "store/sqlite/sqlite_lease_history.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "store/sqlite/state_directory.h"

namespace drpf::store::sqlite {
namespace {

// Times are nanoseconds of the wall clock: a report from outside comes with nothing else.
constexpr const char* schema = R"sql(
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY,
  address BLOB NOT NULL CHECK (length(address) IN (4, 16)),
  port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  protocol INTEGER NOT NULL CHECK (protocol IN (6, 17)),
  generation INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 4294967295),
  account TEXT NOT NULL,
  device TEXT NOT NULL,
  from_ns INTEGER NOT NULL,
  until_ns INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS history_by_port ON history (port, address, from_ns);
CREATE INDEX IF NOT EXISTS history_by_end ON history (until_ns);
)sql";

// A later version adds its steps here as schema.cpp does; a file of one is left alone.
constexpr std::int64_t history_version = 1;
constexpr const char* set_version = "PRAGMA user_version = 1";

std::int64_t number(WallTime time) { return std::chrono::duration_cast<Duration>(time.time_since_epoch()).count(); }
WallTime wall(std::int64_t number) { return WallTime(Duration(number)); }
std::int64_t number(lease::Generation generation) { return static_cast<std::int64_t>(static_cast<std::uint32_t>(generation)); }
std::int64_t number(Protocol protocol) { return protocol == Protocol::udp ? 17 : 6; }

using Key = std::tuple<Bytes, std::int64_t, std::int64_t, std::int64_t>;  // address, port, protocol, generation

Key key_of(const lease::Redirection& redirection) {
  const auto bytes = redirection.public_address.bytes();
  return {Bytes(bytes.begin(), bytes.end()), redirection.public_port.value(), number(redirection.protocol), number(redirection.generation)};
}

}  // namespace

Result<std::unique_ptr<SqliteLeaseHistory>> SqliteLeaseHistory::open(const std::filesystem::path& directory, std::size_t rows_kept_max) {
  const auto path = directory / file_name;
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, error)))
    if (auto made = create_private_file(path); !made) return fail(made.error());
  std::unique_ptr<SqliteLeaseHistory> history(new SqliteLeaseHistory(rows_kept_max));
  auto database = Database::open(path.string());
  if (!database) return fail(database.error());
  history->database_ = std::move(*database);
  if (auto prepared = history->prepare(); !prepared) return fail(prepared.error());
  return history;
}

Status SqliteLeaseHistory::prepare() {
  if (auto done = database_->execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
                                     "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON");
      !done)
    return done;
  const auto found = database_->integer("PRAGMA user_version");
  if (!found) return fail(found.error());
  if (*found > history_version)
    return fail(failure("database_newer",
                        fmt::format("{} has version {} of its tables; this drpf knows {}", database_->path(), *found, history_version),
                        "run the drpf that wrote it, or move the file away: it is the history only; it was not changed"));
  if (auto done = database_->execute(schema); !done) return done;
  if (auto done = database_->execute(set_version); !done) return done;
  const std::pair<Statement*, const char*> texts[] = {
      {&begin_transaction_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
      {&insert_, "INSERT INTO history (address, port, protocol, generation, account, device, from_ns) VALUES (?, ?, ?, ?, ?, ?, ?)"},
      {&end_generation_,
       "UPDATE history SET until_ns = max(?, from_ns) WHERE port = ? AND address = ? AND protocol = ? AND generation = ? AND until_ns IS "
       "NULL"},
      {&end_port_, "UPDATE history SET until_ns = max(?, from_ns) WHERE port = ? AND address = ? AND protocol = ? AND until_ns IS NULL"},
      {&open_, "SELECT id, address, port, protocol, generation FROM history WHERE until_ns IS NULL"},
      {&end_row_, "UPDATE history SET until_ns = max(?, from_ns) WHERE id = ?"},
      {&find_,
       "SELECT protocol, account, device, from_ns, until_ns FROM history WHERE port = ? AND address = ? AND from_ns <= ? AND "
       "(until_ns IS NULL OR until_ns >= ?) AND (? = 0 OR protocol = ?) ORDER BY from_ns DESC, id DESC LIMIT ?"},
      {&forget_, "DELETE FROM history WHERE until_ns < ?"},
      {&shorten_,
       "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE until_ns IS NOT NULL AND account = (SELECT account FROM history "
       "WHERE "
       "until_ns IS NOT NULL GROUP BY account ORDER BY count(*) DESC LIMIT 1) ORDER BY id LIMIT ?)"}};
  for (const auto& [statement, text] : texts) {
    auto prepared = database_->prepare(text);
    if (!prepared) return fail(prepared.error());
    *statement = std::move(*prepared);
  }
  return {};
}

template <class Body>
Status SqliteLeaseHistory::atomically(Body body) {
  if (auto begun = begin_transaction_.run(); !begun) return begun;
  Status done = body();
  if (done) done = commit_.run();
  if (!done && database_->in_transaction()) (void)rollback_.run();
  return done;
}

Status SqliteLeaseHistory::end(const lease::Redirection& redirection, std::int64_t now) {
  return end_generation_.bind(now)
      .bind(std::int64_t{redirection.public_port.value()})
      .bind(ByteView(redirection.public_address.bytes()))
      .bind(number(redirection.protocol))
      .bind(number(redirection.generation))
      .run();
}

Status SqliteLeaseHistory::begin(const Begun& begun, std::int64_t now) {
  const auto& redirection = begun.redirection;
  // Whatever still stands on the port has ended by this.
  if (auto ended = end_port_.bind(now)
                       .bind(std::int64_t{redirection.public_port.value()})
                       .bind(ByteView(redirection.public_address.bytes()))
                       .bind(number(redirection.protocol))
                       .run();
      !ended)
    return ended;
  return insert_.bind(ByteView(redirection.public_address.bytes()))
      .bind(std::int64_t{redirection.public_port.value()})
      .bind(number(redirection.protocol))
      .bind(number(redirection.generation))
      .bind(std::string_view(begun.account))
      .bind(std::string_view(begun.device))
      .bind(now)
      .run();
}

Status SqliteLeaseHistory::record(std::span<const lease::Redirection> ended, std::span<const Begun> begun, WallTime now) {
  return atomically([&]() -> Status {
    for (const auto& redirection : ended)
      if (auto done = end(redirection, number(now)); !done) return done;
    for (const auto& one : begun)
      if (auto done = begin(one, number(now)); !done) return done;
    return {};
  });
}

Status SqliteLeaseHistory::resume(std::span<const Begun> alive, WallTime now) {
  std::map<Key, const Begun*> missing;
  for (const auto& one : alive) missing.emplace(key_of(one.redirection), &one);
  std::vector<std::int64_t> over;
  while (true) {
    const auto row = open_.step();
    if (!row) return fail(row.error());
    if (!*row) break;
    const auto id = open_.integer();
    auto address = open_.blob();
    const auto port = open_.integer();
    const auto protocol = open_.integer();
    const auto generation = open_.integer();
    if (missing.erase({std::move(address), port, protocol, generation}) == 0) over.push_back(id);
  }
  return atomically([&]() -> Status {
    for (const auto id : over)
      if (auto done = end_row_.bind(number(now)).bind(id).run(); !done) return done;
    for (const auto& [key, one] : missing)
      if (auto done = begin(*one, number(now)); !done) return done;
    return {};
  });
}

Result<std::vector<PastLease>> SqliteLeaseHistory::find(const HistoryQuery& query) {
  std::vector<PastLease> found;
  const auto protocol = query.protocol ? number(*query.protocol) : 0;
  find_.bind(std::int64_t{query.public_port.value()})
      .bind(ByteView(query.public_address.bytes()))
      .bind(number(query.to))
      .bind(number(query.from))
      .bind(protocol)
      .bind(protocol)
      .bind(static_cast<std::int64_t>(answers_max));
  while (true) {
    const auto row = find_.step();
    if (!row) return fail(row.error());
    if (!*row) return found;
    PastLease past;
    past.public_address = query.public_address;
    past.public_port = query.public_port;
    past.protocol = find_.integer() == 17 ? Protocol::udp : Protocol::tcp;
    past.account = find_.text();
    past.device = find_.text();
    past.from = wall(find_.integer());
    if (!find_.next_is_null()) past.until = wall(find_.integer());
    found.push_back(std::move(past));
  }
}

Status SqliteLeaseHistory::forget(WallTime ended_before) {
  if (auto done = forget_.bind(number(ended_before)).run(); !done) return done;
  // Nobody makes others' rows be forgotten by making many of his own.
  for (std::optional<std::int64_t> before;;) {
    const auto rows = database_->integer("SELECT count(*) FROM history");
    if (!rows) return fail(rows.error());
    const auto beyond = *rows - static_cast<std::int64_t>(rows_kept_max_);
    if (beyond <= 0 || before == *rows) return {};
    before = *rows;
    if (auto done = shorten_.bind(beyond).run(); !done) return done;
  }
}

}  // namespace drpf::store::sqlite
