// The prepared statements of the store, and records to and from rows. Transactions are opened and closed by the caller.
#pragma once

#include <optional>
#include <vector>

#include "core/result.h"
#include "lease/transaction.h"
#include "store/deadlines.h"
#include "store/sqlite/database.h"
#include "store/store.h"

namespace drpf::store::sqlite {

class Records {
 public:
  static Result<Records> prepare(Database& database);

  Status write(const lease::RecordChange& change);
  Status write(const WireGuardPeer& peer);
  Status write(const WireGuardIdentity& identity);
  Status write(const OpenVpnIdentity& identity);
  Status write(const OpenVpnDevice& device);
  // The counters, where the transaction has them, and the time of the commit.
  Status write_book(const lease::Transaction& transaction, const ClockReading& now);
  Status convert(const Conversion& by, const ClockReading& now);

  // Would writing this add an account, a device or a lease, rather than change or remove one? Grants and rests of ports (quarantine) do not
  // count: a release brings them too, when it takes a port out of a range.
  Result<bool> adds(const lease::RecordChange& change);

  Result<ClockReading> clock();
  Result<lease::State> state();
  Result<std::optional<WireGuardIdentity>> identity();
  Result<std::vector<WireGuardPeer>> peers();
  Result<std::optional<OpenVpnIdentity>> openvpn_identity();
  Result<std::vector<OpenVpnDevice>> openvpn_devices();

  Statement begin;
  Statement commit;
  Statement rollback;

 private:
  Status change(const lease::PutAccount& put);
  Status change(const lease::DropAccount& drop);
  Status change(const lease::PutDevice& put);
  Status change(const lease::DropDevice& drop);
  Status change(const lease::PutGrant& put);
  Status change(const lease::DropGrant& drop);
  Status change(const lease::PutLease& put);
  Status change(const lease::DropLease& drop);
  Status change(const lease::PutQuarantine& put);
  Status change(const lease::DropQuarantine& drop);

  Statement put_account_, drop_account_, put_device_, drop_device_, blank_peer_, put_grant_, drop_grant_, put_lease_, drop_lease_;
  Statement put_quarantine_, drop_quarantine_, put_peer_, put_identity_, put_book_;
  Statement has_account_, has_device_, has_lease_;
  Statement all_accounts_, all_devices_, all_grants_, all_leases_, all_quarantines_, all_peers_, one_identity_, one_book_;
  Statement put_openvpn_identity_, put_openvpn_device_, blank_openvpn_device_, one_openvpn_identity_, all_openvpn_devices_;
  Statement convert_leases_, lose_leases_, convert_grants_, convert_quarantines_, convert_epoch_, begin_epoch_;
};

}  // namespace drpf::store::sqlite
