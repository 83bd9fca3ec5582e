// The state directory: made with the right mode, locked for one gateway, and the database file in it. It does not look into the file.
#pragma once

#include <filesystem>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::store::sqlite {

// The lock lasts as long as the descriptor.
Result<system::Fd> lock_state_directory(const std::filesystem::path& directory);
// Durable: after a crash either the old name or the new one is there, whole.
Status rename_durably(const std::filesystem::path& from, const std::filesystem::path& to, const system::Fd& directory);
Status create_private_file(const std::filesystem::path& path);

}  // namespace drpf::store::sqlite
