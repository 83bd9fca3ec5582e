#include "store/sqlite/schema.h"

#include <fmt/core.h>

#include <array>

namespace drpf::store::sqlite {

namespace {

// Step i brings version i to version i + 1. A released step is never changed.
constexpr std::array<const char*, 3> migrations{R"sql(
CREATE TABLE book (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  generations_used_to INTEGER NOT NULL CHECK (generations_used_to BETWEEN 0 AND 4294967295),
  next_id INTEGER NOT NULL CHECK (next_id BETWEEN 1 AND 4294967295),
  addresses_used_to INTEGER NOT NULL CHECK (addresses_used_to BETWEEN 0 AND 4294967295),
  -- all deadlines are nanoseconds of the boot clock of this boot; read together with the wall clock at the last commit
  boot_id TEXT NOT NULL,
  boot_ns INTEGER NOT NULL CHECK (boot_ns BETWEEN 0 AND 1000000000000000000),
  wall_ns INTEGER NOT NULL CHECK (wall_ns BETWEEN 0 AND 6000000000000000000)
) STRICT;
INSERT INTO book VALUES (1, 0, 1, 0, '', 0, 0);

CREATE TABLE accounts (
  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  name TEXT NOT NULL UNIQUE,
  plan TEXT NOT NULL,
  suspended INTEGER NOT NULL CHECK (suspended IN (0, 1))
) STRICT;

CREATE TABLE devices (
  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  account INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
  name TEXT NOT NULL UNIQUE,
  tunnel_v4 BLOB NOT NULL CHECK (length(tunnel_v4) = 4),
  tunnel_v6 BLOB CHECK (length(tunnel_v6) = 16),
  connected INTEGER NOT NULL CHECK (connected IN (0, 1))
) STRICT;
CREATE INDEX devices_by_account ON devices (account);

CREATE TABLE grants (
  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  account INTEGER NOT NULL REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED,
  device INTEGER NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
  host TEXT NOT NULL,
  port_first INTEGER NOT NULL CHECK (port_first BETWEEN 1 AND 65535),
  port_last INTEGER NOT NULL CHECK (port_last BETWEEN port_first AND 65535),
  kind TEXT NOT NULL CHECK (kind IN ('automatic', 'fixed', 'requested')),
  kept_until_ns INTEGER CHECK (kept_until_ns BETWEEN -1 AND 2000000000000000000)
) STRICT;
CREATE INDEX grants_by_account ON grants (account);
CREATE INDEX grants_by_device ON grants (device);

CREATE TABLE leases (
  host TEXT NOT NULL,
  protocol INTEGER NOT NULL CHECK (protocol IN (6, 17)),
  port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  grant_id INTEGER NOT NULL REFERENCES grants (id) DEFERRABLE INITIALLY DEFERRED,
  device INTEGER NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
  local_port INTEGER NOT NULL CHECK (local_port BETWEEN 1 AND 65535),
  kind TEXT NOT NULL CHECK (kind IN ('automatic', 'fixed', 'requested')),
  state TEXT NOT NULL CHECK (state IN ('active', 'held')),
  generation INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
  deadline_ns INTEGER NOT NULL CHECK (deadline_ns BETWEEN -1 AND 2000000000000000000),
  PRIMARY KEY (host, protocol, port)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_grant ON leases (grant_id);
CREATE INDEX leases_by_device ON leases (device);

CREATE TABLE quarantines (
  host TEXT NOT NULL,
  port_first INTEGER NOT NULL CHECK (port_first BETWEEN 1 AND 65535),
  port_last INTEGER NOT NULL CHECK (port_last BETWEEN port_first AND 65535),
  last_holder INTEGER NOT NULL CHECK (last_holder BETWEEN 1 AND 4294967295),  -- may be gone
  until_ns INTEGER NOT NULL CHECK (until_ns BETWEEN -1 AND 2000000000000000000),
  PRIMARY KEY (host, port_first)
) STRICT, WITHOUT ROWID;

CREATE TABLE wireguard_identity (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  private_key BLOB NOT NULL CHECK (length(private_key) = 32),
  timestamp_floor BLOB NOT NULL CHECK (length(timestamp_floor) = 12)
) STRICT;

CREATE TABLE wireguard_peers (
  device INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
  preshared_key BLOB NOT NULL CHECK (length(preshared_key) = 32),
  private_key BLOB CHECK (length(private_key) = 32),
  endpoint_address BLOB CHECK (length(endpoint_address) IN (4, 16)),
  endpoint_port INTEGER CHECK (endpoint_port BETWEEN 0 AND 65535),
  last_timestamp BLOB NOT NULL CHECK (length(last_timestamp) = 12),
  CHECK ((endpoint_address IS NULL) = (endpoint_port IS NULL))
) STRICT;
)sql",
                                                R"sql(
-- what a program asked for by a port-mapping protocol, on the lease that carries it; all NULL without one
ALTER TABLE leases ADD COLUMN mapping_door TEXT CHECK (mapping_door IN ('nat-pmp', 'pcp', 'upnp', 'api'));
ALTER TABLE leases ADD COLUMN mapping_internal_port INTEGER CHECK (mapping_internal_port BETWEEN 1 AND 65535);
ALTER TABLE leases ADD COLUMN mapping_nonce BLOB CHECK (length(mapping_nonce) = 12);
ALTER TABLE leases ADD COLUMN mapping_description TEXT CHECK (length(mapping_description) <= 64);
ALTER TABLE leases ADD COLUMN mapping_local_port_after INTEGER CHECK (mapping_local_port_after BETWEEN 1 AND 65535);
ALTER TABLE leases ADD COLUMN mapping_while_connected INTEGER CHECK (mapping_while_connected IN (0, 1));
-- when mappings were last lost, on the boot clock like the deadlines; may lie before the boot
ALTER TABLE book ADD COLUMN epoch_started_ns INTEGER NOT NULL DEFAULT 0
  CHECK (epoch_started_ns BETWEEN -6000000000000000000 AND 1000000000000000000);
)sql",
                                                R"sql(
-- certificates and their keys, DER
CREATE TABLE openvpn_identity (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  authority_certificate BLOB NOT NULL,
  authority_key BLOB NOT NULL,
  server_certificate BLOB NOT NULL,
  server_key BLOB NOT NULL
) STRICT;

CREATE TABLE openvpn_devices (
  device INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  certificate BLOB NOT NULL,
  private_key BLOB NOT NULL
) STRICT;
)sql"};

constexpr std::int64_t version = migrations.size();

Status migrate_from(Database& database, std::int64_t from) {
  for (auto step = from; step < version; ++step) {
    const auto sql = fmt::format("BEGIN IMMEDIATE; {} PRAGMA user_version = {}; PRAGMA application_id = {}; COMMIT;",
                                 migrations[static_cast<std::size_t>(step)], step + 1, application_id);
    if (auto done = database.execute(sql); !done) {
      if (database.in_transaction()) (void)database.execute("ROLLBACK");
      return done;
    }
  }
  return {};
}

}  // namespace

Status create_schema(Database& database) { return migrate_from(database, 0); }

Status verify(Database& database) {
  const auto application = database.integer("PRAGMA application_id");
  if (!application) return fail(application.error());
  if (*application != application_id)
    return fail(failure("database_foreign", fmt::format("{} is a database of another program", database.path()),
                        "choose another --state directory; the file was not changed"));
  const auto found = database.integer("PRAGMA user_version");
  if (!found) return fail(found.error());
  if (*found > version || *found < 1)
    return fail(
        failure("database_newer", fmt::format("{} has version {} of the tables; this drpf knows 1 to {}", database.path(), *found, version),
                "run the drpf that wrote it or a newer one, or `drpf restore FILE` a backup of this version; the file was not changed"));
  const auto check = database.text("PRAGMA quick_check(1)");
  if (!check) return fail(check.error());
  if (*check != "ok") {
    auto error = database.error(SQLITE_CORRUPT, "checking it");
    error.message = fmt::format("{} is damaged ({})", database.path(), *check);
    return fail(std::move(error));
  }
  return {};
}

Status migrate(Database& database) {
  const auto found = database.integer("PRAGMA user_version");
  if (!found) return fail(found.error());
  return migrate_from(database, *found);
}

}  // namespace drpf::store::sqlite
