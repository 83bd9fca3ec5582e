// The tables of the SQLite store and the steps from one version of them to the next.
#pragma once

#include "core/result.h"
#include "store/sqlite/database.h"

namespace drpf::store::sqlite {

constexpr std::int64_t application_id = 0x64727066;  // "drpf"

// Fills an empty database.
Status create_schema(Database& database);
// Refuses what is not ours, what is newer than this program and what is damaged. Writes nothing.
Status verify(Database& database);
// Brings what is older to the present version.
Status migrate(Database& database);

}  // namespace drpf::store::sqlite
