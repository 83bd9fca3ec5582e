// The state directory: made with the right mode, locked for one gateway, and the private files in it. It does not look into the files.
#pragma once

#include <filesystem>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "system/fd.h"

namespace drpf::store::sqlite {

// The lock lasts as long as the descriptor.
Result<system::Fd> lock_state_directory(const std::filesystem::path& directory);
// Durable: after a crash either the old name or the new one is there, whole.
Status rename_durably(const std::filesystem::path& from, const std::filesystem::path& to, const system::Fd& directory);
Status create_private_file(const std::filesystem::path& path);
// Written to its end and synced, or not there at all. Never replaces a file.
Status write_private_file(const std::filesystem::path& path, ByteView bytes);
// The file is given to whom the directory belongs: root restores what another user's gateway reads.
Status give_to_owner(const std::filesystem::path& path, const system::Fd& directory);
Result<Bytes> read_file(const std::filesystem::path& path, std::uintmax_t size_max);
// A file that others may read or write is made 0600; says so, for the keys in it may have been read. Empty = it was private.
Result<std::string> make_private(const std::filesystem::path& path);

}  // namespace drpf::store::sqlite
