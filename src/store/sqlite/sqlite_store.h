// The store in one SQLite file of a state directory that it has for itself. Deadlines are of the boot clock; see store/deadlines.h.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "store/store.h"

namespace drpf::store::sqlite {

class SqliteStore final : public Store {
 public:
  static constexpr const char* file_name = "drpf.db";

  // Makes the directory (0700) and the database (0600) where they are missing. Refuses a directory that another gateway uses, and a
  // database that is damaged, foreign or newer; such a file is left as it is.
  static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& directory);
  ~SqliteStore() override;

  // What was put right when it was opened (modes of files), for the log.
  const std::vector<std::string>& repairs() const;
  // Set while the disk has no room for anything new: why, with the cure. Renewals and releases are taken in all the same.
  std::optional<std::string> warning() const;
  // All of it as one file, for a backup. Private keys are in it.
  Result<Bytes> image();

  Result<lease::State> load(const ClockReading& now) override;
  Status commit(const lease::Transaction& transaction, const ClockReading& now) override;
  Result<std::optional<WireGuardIdentity>> load_wireguard_identity() override;
  Status save_wireguard_identity(const WireGuardIdentity& identity) override;
  Result<std::vector<WireGuardPeer>> load_wireguard_peers() override;
  Status save_wireguard_peers(const std::vector<WireGuardPeer>& peers) override;
  Result<std::optional<OpenVpnIdentity>> load_openvpn_identity() override;
  Status save_openvpn_identity(const OpenVpnIdentity& identity) override;
  Result<std::vector<OpenVpnDevice>> load_openvpn_devices() override;
  Status commit_with(const lease::Transaction& transaction, const Credentials& credentials, const ClockReading& now) override;

 private:
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace drpf::store::sqlite
