#include "store/sqlite/records.h"

#include <algorithm>
#include <utility>

namespace drpf::store::sqlite {

namespace {

template <class Id>
std::int64_t number(Id id) {
  return static_cast<std::int64_t>(static_cast<std::uint32_t>(id));
}
std::int64_t number(Port port) { return port.value(); }
std::int64_t number(Time time) { return time.time_since_epoch().count(); }

std::optional<std::int64_t> number(const std::optional<Time>& time) { return time ? std::optional(number(*time)) : std::nullopt; }
std::optional<ByteView> bytes(const std::optional<Address>& address) {
  return address ? std::optional<ByteView>(address->bytes()) : std::nullopt;
}

// The schema's checks have bounded every value that is read here; a width that is not right all the same becomes zeros.
template <class Id>
Id id(Statement& row) {
  return Id{static_cast<std::uint32_t>(row.integer())};
}
Port port(Statement& row) { return Port{static_cast<std::uint16_t>(row.integer())}; }
Time time(Statement& row) { return Time(Duration(row.integer())); }
PortRange ports(Statement& row) {
  const auto first = port(row);
  return PortRange(first, port(row));
}
std::optional<Address> address(Statement& row) {
  const auto raw = row.blob();
  if (raw.size() != 4 && raw.size() != 16) return std::nullopt;
  return Address::from_bytes(raw);
}
lease::Door door(std::string_view text) {
  for (const auto one : {lease::Door::pcp, lease::Door::upnp, lease::Door::api})
    if (text == to_string(one)) return one;
  return lease::Door::nat_pmp;
}
template <std::size_t N>
std::array<std::uint8_t, N> array(Statement& row) {
  return ByteReader(row.blob()).array<N>();
}
lease::LeaseKind kind(Statement& row) {
  const auto text = row.text();
  for (const auto one : {lease::LeaseKind::automatic, lease::LeaseKind::requested})
    if (text == to_string(one)) return one;
  return lease::LeaseKind::fixed;
}

template <class Value, class Read>
Result<std::vector<Value>> all(Statement& statement, Read read) {
  std::vector<Value> values;
  while (true) {
    const auto row = statement.step();
    if (!row) return fail(row.error());
    if (!*row) return values;
    values.push_back(read(statement));
  }
}

lease::Account account(Statement& row) {
  lease::Account account;
  account.id = id<lease::AccountId>(row);
  account.name = row.text();
  account.plan = row.text();
  account.suspended = row.integer() != 0;
  return account;
}

lease::Device device(Statement& row) {
  lease::Device device;
  device.id = id<lease::DeviceId>(row);
  device.account = id<lease::AccountId>(row);
  device.name = row.text();
  device.tunnel_v4 = address(row).value_or(Address{});
  device.tunnel_v6 = address(row);
  device.connected = row.integer() != 0;
  return device;
}

lease::Grant grant(Statement& row) {
  lease::Grant grant;
  grant.id = id<lease::GrantId>(row);
  grant.account = id<lease::AccountId>(row);
  grant.device = id<lease::DeviceId>(row);
  grant.host = row.text();
  grant.ports = ports(row);
  grant.kind = kind(row);
  if (!row.next_is_null()) grant.kept_until = time(row);
  return grant;
}

lease::Lease lease(Statement& row) {
  lease::Lease lease;
  lease.on.host = row.text();
  lease.on.protocol = row.integer() == 17 ? Protocol::udp : Protocol::tcp;
  lease.on.port = port(row);
  lease.grant = id<lease::GrantId>(row);
  lease.device = id<lease::DeviceId>(row);
  lease.local_port = port(row);
  lease.kind = kind(row);
  lease.state = row.text() == to_string(lease::LeaseState::active) ? lease::LeaseState::active : lease::LeaseState::held;
  lease.generation = id<lease::Generation>(row);
  lease.deadline = time(row);
  if (row.next_is_null()) return lease;
  auto& mapping = lease.mapping.emplace();
  mapping.door = door(row.text());
  mapping.internal_port = port(row);
  mapping.nonce = array<12>(row);
  mapping.description = row.text();
  mapping.local_port_after = port(row);
  mapping.while_connected = row.integer() != 0;
  return lease;
}

lease::Quarantine quarantine(Statement& row) {
  lease::Quarantine quarantine;
  quarantine.host = row.text();
  quarantine.ports = ports(row);
  quarantine.last_holder = id<lease::AccountId>(row);
  quarantine.until = time(row);
  return quarantine;
}

WireGuardPeer peer(Statement& row) {
  WireGuardPeer peer;
  peer.device = id<lease::DeviceId>(row);
  peer.public_key = array<32>(row);
  peer.preshared_key = array<32>(row);
  if (row.next_is_null())
    row.skip();
  else
    peer.private_key = array<32>(row);
  const auto host = address(row);
  const auto at = port(row);
  if (host) peer.endpoint = Endpoint{*host, at};
  peer.last_timestamp = array<12>(row);
  return peer;
}

}  // namespace

Result<Records> Records::prepare(Database& database) {
  Records records;
  const std::pair<Statement Records::*, const char*> texts[] = {
      {&Records::begin, "BEGIN IMMEDIATE"},
      {&Records::commit, "COMMIT"},
      {&Records::rollback, "ROLLBACK"},
      {&Records::put_account_,
       "INSERT INTO accounts (id, name, plan, suspended) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
       "plan = excluded.plan, suspended = excluded.suspended"},
      {&Records::drop_account_, "DELETE FROM accounts WHERE id = ?"},
      {&Records::put_device_,
       "INSERT INTO devices (id, account, name, tunnel_v4, tunnel_v6, connected) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
       "account = excluded.account, name = excluded.name, tunnel_v4 = excluded.tunnel_v4, tunnel_v6 = excluded.tunnel_v6, "
       "connected = excluded.connected"},
      {&Records::drop_device_, "DELETE FROM devices WHERE id = ?"},
      // The endpoint comes or goes so that the row has another size: only then does SQLite build it anew, in the buffer where it built the
      // one with the keys, instead of writing into the page.
      {&Records::blank_peer_,
       "UPDATE wireguard_peers SET preshared_key = zeroblob(32), private_key = zeroblob(32), "
       "endpoint_address = iif(endpoint_address IS NULL, zeroblob(16), NULL), endpoint_port = iif(endpoint_port IS NULL, 0, NULL), "
       "last_timestamp = zeroblob(12) WHERE device = ?"},
      {&Records::put_grant_,
       "INSERT INTO grants (id, account, device, host, port_first, port_last, kind, kept_until_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
       "ON CONFLICT (id) DO UPDATE SET account = excluded.account, device = excluded.device, host = excluded.host, "
       "port_first = excluded.port_first, port_last = excluded.port_last, kind = excluded.kind, kept_until_ns = excluded.kept_until_ns"},
      {&Records::drop_grant_, "DELETE FROM grants WHERE id = ?"},
      {&Records::put_lease_,
       "INSERT INTO leases (host, protocol, port, grant_id, device, local_port, kind, state, generation, deadline_ns, mapping_door, "
       "mapping_internal_port, mapping_nonce, mapping_description, mapping_local_port_after, mapping_while_connected) "
       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host, protocol, port) DO UPDATE SET "
       "grant_id = excluded.grant_id, device = excluded.device, local_port = excluded.local_port, kind = excluded.kind, "
       "state = excluded.state, generation = excluded.generation, deadline_ns = excluded.deadline_ns, "
       "mapping_door = excluded.mapping_door, mapping_internal_port = excluded.mapping_internal_port, "
       "mapping_nonce = excluded.mapping_nonce, mapping_description = excluded.mapping_description, "
       "mapping_local_port_after = excluded.mapping_local_port_after, mapping_while_connected = excluded.mapping_while_connected"},
      {&Records::drop_lease_, "DELETE FROM leases WHERE host = ? AND protocol = ? AND port = ?"},
      {&Records::put_quarantine_,
       "INSERT INTO quarantines (host, port_first, port_last, last_holder, until_ns) VALUES (?, ?, ?, ?, ?) "
       "ON CONFLICT (host, port_first) DO UPDATE SET port_last = excluded.port_last, last_holder = excluded.last_holder, "
       "until_ns = excluded.until_ns"},
      {&Records::drop_quarantine_, "DELETE FROM quarantines WHERE host = ? AND port_first = ?"},
      {&Records::put_peer_,
       "INSERT INTO wireguard_peers (device, public_key, preshared_key, private_key, endpoint_address, endpoint_port, last_timestamp) "
       "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET public_key = excluded.public_key, "
       "preshared_key = excluded.preshared_key, private_key = excluded.private_key, endpoint_address = excluded.endpoint_address, "
       "endpoint_port = excluded.endpoint_port, last_timestamp = excluded.last_timestamp"},
      {&Records::put_identity_,
       "INSERT INTO wireguard_identity (id, private_key, timestamp_floor) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET "
       "private_key = excluded.private_key, timestamp_floor = excluded.timestamp_floor"},
      {&Records::put_openvpn_identity_,
       "INSERT INTO openvpn_identity (id, authority_certificate, authority_key, server_certificate, server_key) VALUES (1, ?, ?, ?, ?) "
       "ON CONFLICT (id) DO UPDATE SET authority_certificate = excluded.authority_certificate, authority_key = excluded.authority_key, "
       "server_certificate = excluded.server_certificate, server_key = excluded.server_key"},
      {&Records::put_openvpn_device_,
       "INSERT INTO openvpn_devices (device, certificate, private_key) VALUES (?, ?, ?) ON CONFLICT (device) DO UPDATE SET "
       "certificate = excluded.certificate, private_key = excluded.private_key"},
      // Of another size, as above.
      {&Records::blank_openvpn_device_, "UPDATE openvpn_devices SET private_key = zeroblob(length(private_key) + 1) WHERE device = ?"},
      {&Records::one_openvpn_identity_,
       "SELECT authority_certificate, authority_key, server_certificate, server_key FROM openvpn_identity"},
      {&Records::all_openvpn_devices_, "SELECT device, certificate, private_key FROM openvpn_devices ORDER BY device"},
      {&Records::put_book_,
       "UPDATE book SET generations_used_to = coalesce(nullif(?, 0), generations_used_to), next_id = coalesce(nullif(?, 0), next_id), "
       "addresses_used_to = coalesce(nullif(?, 0), addresses_used_to), boot_id = ?, boot_ns = ?, wall_ns = ?"},
      {&Records::has_account_, "SELECT 1 FROM accounts WHERE id = ?"},
      {&Records::has_device_, "SELECT 1 FROM devices WHERE id = ?"},
      {&Records::has_lease_, "SELECT 1 FROM leases WHERE host = ? AND protocol = ? AND port = ?"},
      {&Records::all_accounts_, "SELECT id, name, plan, suspended FROM accounts ORDER BY id"},
      {&Records::all_devices_, "SELECT id, account, name, tunnel_v4, tunnel_v6, connected FROM devices ORDER BY id"},
      {&Records::all_grants_, "SELECT id, account, device, host, port_first, port_last, kind, kept_until_ns FROM grants ORDER BY id"},
      {&Records::all_leases_,
       "SELECT host, protocol, port, grant_id, device, local_port, kind, state, generation, deadline_ns, mapping_door, "
       "mapping_internal_port, mapping_nonce, mapping_description, mapping_local_port_after, mapping_while_connected FROM leases "
       "ORDER BY host, protocol, port"},
      {&Records::all_quarantines_, "SELECT host, port_first, port_last, last_holder, until_ns FROM quarantines ORDER BY host, port_first"},
      {&Records::all_peers_,
       "SELECT device, public_key, preshared_key, private_key, endpoint_address, endpoint_port, last_timestamp FROM wireguard_peers "
       "ORDER BY device"},
      {&Records::one_identity_, "SELECT private_key, timestamp_floor FROM wireguard_identity"},
      {&Records::one_book_,
       "SELECT generations_used_to, next_id, addresses_used_to, boot_id, boot_ns, wall_ns, epoch_started_ns FROM book"},
      {&Records::convert_leases_, "UPDATE leases SET deadline_ns = max(deadline_ns + ?, ?) WHERE state = 'active'"},
      {&Records::lose_leases_, "UPDATE leases SET deadline_ns = ? WHERE state = 'active'"},
      {&Records::convert_grants_, "UPDATE grants SET kept_until_ns = max(kept_until_ns + ?, ?) WHERE kept_until_ns IS NOT NULL"},
      {&Records::convert_quarantines_, "UPDATE quarantines SET until_ns = max(until_ns + ?, ?)"},
      {&Records::convert_epoch_, "UPDATE book SET epoch_started_ns = epoch_started_ns + ?"},
      {&Records::begin_epoch_, "UPDATE book SET epoch_started_ns = ?"},
  };
  for (const auto& [member, sql] : texts) {
    auto statement = database.prepare(sql);
    if (!statement) return fail(std::move(statement.error()));
    records.*member = std::move(*statement);
  }
  return records;
}

Status Records::write(const lease::RecordChange& change_of) {
  return std::visit([this](const auto& one) { return change(one); }, change_of);
}

Status Records::change(const lease::PutAccount& put) {
  const auto& one = put.account;
  return put_account_.bind(number(one.id)).bind(one.name).bind(one.plan).bind(std::int64_t{one.suspended}).run();
}
Status Records::change(const lease::DropAccount& drop) { return drop_account_.bind(number(drop.id)).run(); }

Status Records::change(const lease::PutDevice& put) {
  const auto& one = put.device;
  put_device_.bind(number(one.id)).bind(number(one.account)).bind(one.name).bind(one.tunnel_v4.bytes()).bind(bytes(one.tunnel_v6));
  return put_device_.bind(std::int64_t{one.connected}).run();
}
Status Records::change(const lease::DropDevice& drop) {
  if (auto blank = blank_peer_.bind(number(drop.id)).run(); !blank) return blank;
  if (auto blank = blank_openvpn_device_.bind(number(drop.id)).run(); !blank) return blank;
  return drop_device_.bind(number(drop.id)).run();
}

Status Records::change(const lease::PutGrant& put) {
  const auto& one = put.grant;
  put_grant_.bind(number(one.id)).bind(number(one.account)).bind(number(one.device)).bind(one.host);
  put_grant_.bind(number(one.ports.first())).bind(number(one.ports.last()));
  return put_grant_.bind(to_string(one.kind)).bind(number(one.kept_until)).run();
}
Status Records::change(const lease::DropGrant& drop) { return drop_grant_.bind(number(drop.id)).run(); }

Status Records::change(const lease::PutLease& put) {
  const auto& one = put.lease;
  put_lease_.bind(one.on.host).bind(std::int64_t{static_cast<std::uint8_t>(one.on.protocol)}).bind(number(one.on.port));
  put_lease_.bind(number(one.grant)).bind(number(one.device)).bind(number(one.local_port)).bind(to_string(one.kind));
  put_lease_.bind(to_string(one.state)).bind(number(one.generation)).bind(number(one.deadline));
  if (!one.mapping) {
    for (int i = 0; i < 6; ++i) put_lease_.bind(std::optional<std::int64_t>{});
    return put_lease_.run();
  }
  const auto& mapping = *one.mapping;
  put_lease_.bind(to_string(mapping.door)).bind(number(mapping.internal_port)).bind(ByteView(mapping.nonce)).bind(mapping.description);
  return put_lease_.bind(number(mapping.local_port_after)).bind(std::int64_t{mapping.while_connected}).run();
}
Status Records::change(const lease::DropLease& drop) {
  const auto& on = drop.on;
  return drop_lease_.bind(on.host).bind(std::int64_t{static_cast<std::uint8_t>(on.protocol)}).bind(number(on.port)).run();
}

Status Records::change(const lease::PutQuarantine& put) {
  const auto& one = put.quarantine;
  put_quarantine_.bind(one.host).bind(number(one.ports.first())).bind(number(one.ports.last()));
  return put_quarantine_.bind(number(one.last_holder)).bind(number(one.until)).run();
}
Status Records::change(const lease::DropQuarantine& drop) {
  return drop_quarantine_.bind(drop.quarantine.host).bind(number(drop.quarantine.ports.first())).run();
}

Result<bool> Records::adds(const lease::RecordChange& change_of) {
  Statement* found = nullptr;
  if (const auto* account_put = std::get_if<lease::PutAccount>(&change_of)) {
    found = &has_account_.bind(number(account_put->account.id));
  } else if (const auto* device_put = std::get_if<lease::PutDevice>(&change_of)) {
    found = &has_device_.bind(number(device_put->device.id));
  } else if (const auto* lease_put = std::get_if<lease::PutLease>(&change_of)) {
    const auto& on = lease_put->lease.on;
    found = &has_lease_.bind(on.host).bind(std::int64_t{static_cast<std::uint8_t>(on.protocol)}).bind(number(on.port));
  } else {
    return false;
  }
  const auto row = found->step();
  if (!row) return fail(row.error());
  if (*row) found->reset();
  return !*row;
}

Status Records::write(const WireGuardPeer& peer) {
  put_peer_.bind(number(peer.device)).bind(ByteView(peer.public_key)).bind(ByteView(peer.preshared_key));
  put_peer_.bind(peer.private_key ? std::optional<ByteView>(*peer.private_key) : std::nullopt);
  put_peer_.bind(peer.endpoint ? std::optional<ByteView>(peer.endpoint->address.bytes()) : std::nullopt);
  put_peer_.bind(peer.endpoint ? std::optional(number(peer.endpoint->port)) : std::nullopt);
  return put_peer_.bind(ByteView(peer.last_timestamp)).run();
}

Status Records::write(const WireGuardIdentity& identity) {
  return put_identity_.bind(ByteView(identity.private_key)).bind(ByteView(identity.timestamp_floor)).run();
}

Status Records::write_book(const lease::Transaction& transaction, const ClockReading& now) {
  put_book_.bind(std::int64_t{transaction.generations_used_to});
  put_book_.bind(std::int64_t{transaction.next_id}).bind(std::int64_t{transaction.addresses_used_to});
  return put_book_.bind(now.boot_id).bind(number(now.boot)).bind(std::int64_t{now.wall.time_since_epoch().count()}).run();
}

Status Records::convert(const Conversion& by, const ClockReading& now) {
  const auto shift = std::int64_t{by.shift.count()};
  const auto past = number(now.boot) - 1;
  Status done = by.time_passed_known ? convert_leases_.bind(shift).bind(past).run() : lose_leases_.bind(past).run();
  if (done) done = convert_grants_.bind(shift).bind(past).run();
  if (done) done = convert_quarantines_.bind(shift).bind(past).run();
  if (done) done = by.time_passed_known ? convert_epoch_.bind(shift).run() : begin_epoch_.bind(number(now.boot)).run();
  return done;
}

Result<ClockReading> Records::clock() {
  const auto row = one_book_.step();
  if (!row) return fail(row.error());
  if (!*row) return fail(failure("database_corrupt", "the database has lost its book", "`drpf restore FILE` puts a backup in its place"));
  for (int i = 0; i < 3; ++i) one_book_.skip();
  ClockReading reading;
  reading.boot_id = one_book_.text();
  reading.boot = time(one_book_);
  reading.wall = WallTime(Duration(one_book_.integer()));
  one_book_.reset();
  return reading;
}

Result<lease::State> Records::state() {
  lease::State state;
  const auto read = [](auto& into, auto&& values) -> Status {
    if (!values) return fail(values.error());
    into = std::move(*values);
    return {};
  };
  Status done = read(state.accounts, all<lease::Account>(all_accounts_, account));
  if (done) done = read(state.devices, all<lease::Device>(all_devices_, device));
  if (done) done = read(state.grants, all<lease::Grant>(all_grants_, grant));
  if (done) done = read(state.leases, all<lease::Lease>(all_leases_, lease));
  if (done) done = read(state.quarantines, all<lease::Quarantine>(all_quarantines_, quarantine));
  if (!done) return fail(std::move(done.error()));
  const auto row = one_book_.step();
  if (!row) return fail(row.error());
  if (!*row) return fail(failure("database_corrupt", "the database has lost its book", "`drpf restore FILE` puts a backup in its place"));
  state.generations_used_to = static_cast<std::uint32_t>(one_book_.integer());
  state.next_id = static_cast<std::uint32_t>(one_book_.integer());
  state.addresses_used_to = static_cast<std::uint32_t>(one_book_.integer());
  for (int i = 0; i < 3; ++i) one_book_.skip();
  state.epoch_started = time(one_book_);
  one_book_.reset();
  return state;
}

Result<std::optional<WireGuardIdentity>> Records::identity() {
  const auto row = one_identity_.step();
  if (!row) return fail(row.error());
  if (!*row) return std::optional<WireGuardIdentity>{};
  WireGuardIdentity identity;
  identity.private_key = array<32>(one_identity_);
  identity.timestamp_floor = array<12>(one_identity_);
  one_identity_.reset();
  return std::optional(identity);
}

Result<std::vector<WireGuardPeer>> Records::peers() { return all<WireGuardPeer>(all_peers_, peer); }

Status Records::write(const OpenVpnIdentity& identity) {
  put_openvpn_identity_.bind(ByteView(identity.authority_certificate)).bind(ByteView(identity.authority_key));
  return put_openvpn_identity_.bind(ByteView(identity.server_certificate)).bind(ByteView(identity.server_key)).run();
}

Status Records::write(const OpenVpnDevice& device) {
  put_openvpn_device_.bind(number(device.device)).bind(ByteView(device.certificate));
  return put_openvpn_device_.bind(ByteView(device.private_key)).run();
}

Result<std::optional<OpenVpnIdentity>> Records::openvpn_identity() {
  auto& row = one_openvpn_identity_;
  const auto found = row.step();
  if (!found) return fail(found.error());
  if (!*found) return std::optional<OpenVpnIdentity>{};
  OpenVpnIdentity identity;
  for (auto* part : {&identity.authority_certificate, &identity.authority_key, &identity.server_certificate, &identity.server_key})
    *part = row.blob();
  row.reset();
  return std::optional(std::move(identity));
}

Result<std::vector<OpenVpnDevice>> Records::openvpn_devices() {
  return all<OpenVpnDevice>(all_openvpn_devices_, [](Statement& row) {
    OpenVpnDevice device;
    device.device = id<lease::DeviceId>(row);
    device.certificate = row.blob();
    device.private_key = row.blob();
    return device;
  });
}

}  // namespace drpf::store::sqlite
