# Everything comes from the distribution; see docs/decisions/0002-dependencies.md.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(SQLite3 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(pugixml REQUIRED)
pkg_check_modules(QRENCODE REQUIRED IMPORTED_TARGET libqrencode)

# Seals and opens packets in half of OpenSSL's time on processors with AVX-512; for x86-64 alone.
find_path(MULTI_BUFFER_INCLUDE intel-ipsec-mb.h)
find_library(MULTI_BUFFER_LIBRARY IPSec_MB)
