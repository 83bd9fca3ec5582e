# Flags that every target gets.
find_program(CCACHE ccache)
if(CCACHE)
  # It keeps what is compiled with a precompiled header only when told that macros of the command line are part of that header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

# A header is read once for several sources: half of the time of a build. Each file compiles alone too, which ./dev lint --alone sees to.
option(DRPF_UNITY "Compile several sources of a folder as one" ON)
set(CMAKE_UNITY_BUILD ${DRPF_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
option(DRPF_SOURCES_ALONE "Compile each file of src/ by itself all the same" OFF)
if(DRPF_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-subobject-linkage)  # an anonymous namespace of an included source is not one of a header
endif()

option(DRPF_PRECOMPILED_HEADERS "Read the headers that every source needs from a precompiled one" ON)
if(NOT DRPF_PRECOMPILED_HEADERS)
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # In inlined code of std::string and std::vector they see overlaps and overruns that are not there, each release others (GCC bugs 105651,
  # 105329, 115016). AddressSanitizer and the library's own assertions look at the same, and are right.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND DRPF_PRECOMPILED_HEADERS)
  add_compile_options(-fpch-preprocess)  # what ccache needs to see through a precompiled header
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wno-error=deprecated-declarations)  # libstdc++ 12 calls its own get_temporary_buffer in std::stable_sort
endif()
if(DRPF_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()

# Hardening stays on in release, the standard library's own assertions included: every byte from outside is hostile.
add_compile_options(-fstack-protector-strong -fcf-protection)
if(NOT DRPF_SANITIZE)
  # Not with sanitizers: they should see what is uninitialized, and g++ 12 then warns falsely inside fmt::format.
  add_compile_options(-ftrivial-auto-var-init=zero)
endif()
add_compile_definitions(_GLIBCXX_ASSERTIONS)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DRPF_SANITIZE)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now)
include(CheckPIESupported)
check_pie_supported()

find_program(MOLD mold)
if(MOLD AND NOT DRPF_LIBFUZZER)
  add_link_options(-fuse-ld=mold)
endif()

if(DRPF_SANITIZE)
  add_compile_options(-fsanitize=${DRPF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DRPF_SANITIZE})
endif()
if(DRPF_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
