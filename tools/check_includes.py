#!/usr/bin/python3
"""Checks that includes in src/ point downward and go in no ring, that pure folders stay pure, that each library stays in its own room, and
that CMake links and ARCHITECTURE.md names the folders as they are.

Prints one line for each forbidden edge, with the reason. Exit code 1 if there is one. With --rules it says what it enforces. The checker
first checks itself on made-up edges, so that a rule which cannot fail is noticed.
"""
import collections
import os
import re
import sys

import source_files

# Top to bottom: a folder may include those below it, never those above.
ORDER = ["cli", "lab", "daemon", "survey", "guard", "client", "gateway", "configuration", "proxy", "terminal", "api_client", "repair", "api", "net", "tunnel", "redirect",
         "ruleset", "store", "probe", "system", "scan", "firewall", "protocol", "crypto", "lease", "registry", "core"]
RANK = {folder: position for position, folder in enumerate(ORDER)}

# Downward edges that are forbidden all the same.
FORBIDDEN = {
    ("gateway", "net"): "gateway/ decides; who asks and how is answered is daemon/'s affair",
    ("gateway", "system"): "gateway/ decides; what Linux does comes in by interfaces, so that the simulation can drive it",
    ("gateway", "probe"): "gateway/ decides; it sends nothing",
    ("gateway", "firewall"): "gateway/ decides about leases; rule sets are daemon/'s to put together",
    ("configuration", "system"): "a configuration is a value; what this host has is found in daemon/",
    ("configuration", "net"): "a configuration is a value",
    ("client", "gateway"): "the device's side asks the gateway by its API, as everybody does",
    ("client", "configuration"): "the gateway's configuration is not the device's affair",
    ("client", "store"): "the device keeps no book",
    ("proxy", "tunnel"): "a proxy connects like any program; by which way packets go is not its affair",
    ("proxy", "redirect"): "a proxy connects like any program; it knows no rule set",
    ("proxy", "store"): "a proxy keeps nothing",
    ("proxy", "lease"): "a proxy knows addresses and ports; whose they are is not its affair",
    ("survey", "client"): "a scan needs no tunnel",
    ("survey", "gateway"): "a scan sees a gateway from outside, by its API",
    ("survey", "configuration"): "a scan sees a gateway from outside, by its API",
    ("guard", "gateway"): "guard/ looks at its own host, with or without a gateway on it",
    ("lab", "daemon"): "a lab starts the program and asks it by its API, as everybody does",
    ("lab", "gateway"): "a lab starts the program and asks it by its API, as everybody does",
    ("lab", "store"): "a lab starts the program and asks it by its API, as everybody does",
    ("api_client", "lease"): "a client of the API knows what the API says, and no book",
    ("api_client", "store"): "a client of the API knows what the API says, and no book",
    ("terminal", "net"): "terminal/ writes what it is given; it asks nobody",
    ("net", "tunnel"): "net/ drives whatever pure machine it is given; it knows no tunnel",
    ("net", "redirect"): "net/ drives whatever pure machine it is given; it knows no redirect",
    ("net", "store"): "net/ drives whatever pure machine it is given; it knows no store",
    ("tunnel", "redirect"): "a tunnel carries packets; which port leads where is not its affair",
    ("ruleset", "lease"): "a keeper of a rule set knows no leases; they are elements, which redirect/ writes",
    ("ruleset", "store"): "a rule set is put as it is told",
    ("tunnel", "ruleset"): "a tunnel carries packets; which may pass is not its affair",
    ("net", "ruleset"): "net/ drives whatever pure machine it is given; it knows no rule set",
    ("redirect", "store"): "a redirect carries out what it is told; what should be there comes from the lease book",
    ("store", "firewall"): "a store keeps the book; it knows no rule sets",
    ("firewall", "crypto"): "rule sets are text about addresses and ports",
    ("firewall", "protocol"): "rule sets are text about addresses and ports; they know no messages",
    ("system", "protocol"): "system/ offers what Linux does; it knows no protocol",
    ("system", "lease"): "system/ offers what Linux does; it knows no lease",
    ("system", "scan"): "system/ offers what Linux does; it knows no scan",
    ("probe", "firewall"): "probe/ sends what scan/ says; it knows no rule set",
    ("scan", "firewall"): "a scan sees rule sets from outside only",
    ("scan", "lease"): "a scan knows addresses and ports; whose they are is not its affair",
    ("system", "firewall"): "system/ offers what Linux does; it knows no rule set",
    ("crypto", "lease"): "crypto/ is functions over bytes",
    ("crypto", "registry"): "crypto/ is functions over bytes",
}

PURE = {"core", "registry", "lease", "protocol", "firewall", "scan"}
IMPURE_HEADERS = [
    (r"(sys|netinet|net|linux|netpacket)/.*|netdb\.h|unistd\.h|fcntl\.h|poll\.h|ifaddrs\.h", "no sockets and no system calls"),
    (r"thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token|pthread\.h", "no threads"),
    (r"ctime|time\.h", "`now` comes in as an argument"),
    (r"random", "randomness comes in as drpf::Random"),
    (r"fstream|iostream|filesystem", "no files and no output"),
    (r"spdlog/.*", "no logs: what happened is a returned value"),
    (r"boost/(asio|beast)/.*|boost/(asio|beast)\.hpp", "no event loop"),
]
IMPURE_CALLS = [
    (re.compile(r"\b\w*clock(?:_type)?::now\s*\("), "`now` comes in as an argument"),
    (re.compile(r"\b(?:std::)?(?:getenv|rand|srand|clock_gettime|gettimeofday)\s*\("), "environment, clocks and randomness come in as arguments"),
    (re.compile(r"\bstd::random_device\b"), "randomness comes in as drpf::Random"),
]

# A library's headers, the folders that may include them, and whether only in a .cpp file.
ROOMS = [
    (r"openssl/.*|intel-ipsec-mb\.h", {"crypto"}, False, "cryptography is spoken only in crypto/"),
    (r"boost/(asio|beast)(/.*|\.hpp)", {"net"}, False, None),
    (r"boost/(asio|beast)(/.*|\.hpp)", {"net", "daemon", "client", "api", "cli"}, True, "Asio and Beast live in net/, elsewhere at most in a .cpp file"),
    (r"sqlite3\.h", {"store"}, False, "SQLite is spoken only in store/"),
    (r"libmnl/.*", set(), False, "netlink messages are framed by system/netlink_message"),
    (r"CLI/.*", {"cli"}, False, "the command line is parsed in cli/"),
    (r"qrencode\.h", {"terminal"}, False, "QR codes are drawn in terminal/"),
    (r"pugixml\.hpp", {"protocol"}, True, "XML is read in protocol/upnp/soap.cpp"),
    (r"toml\+\+/.*|toml\.hpp", {"configuration"}, False, "the configuration file is read in configuration/, behind configuration_file.h"),
    (r"(nftables|libnftnl|libnetfilter_conntrack|netlink)/.*", set(), False, "this library is under the GPL or not needed beside system/netlink_message"),
]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def without_comments(text):
    return re.sub(r'//[^\n]*|/\*.*?\*/|("(?:[^"\\\n]|\\.)*")', lambda match: match.group(1) or "", text, flags=re.DOTALL)


def room_problem(header, folder, is_header):
    """Why this library header may not be included here, or None."""
    reasons = []
    for pattern, folders, cpp_only, reason in ROOMS:
        if not re.fullmatch(pattern, header):
            continue
        if folder in folders and not (cpp_only and is_header):
            return None
        reasons.append(reason)
    return next((reason for reason in reversed(reasons) if reason), None)


def check(path, text, exists=lambda name: True):
    """Problems of one file; `path` is relative to src/."""
    problems = []
    folder = path.split("/")[0]
    if folder not in RANK:
        return [f"src/{path}: the folder {folder}/ has no place in the order of tools/check_includes.py"]
    is_header = path.endswith(".h")
    for match in INCLUDE.finditer(text):
        where = f"src/{path}:{text.count(chr(10), 0, match.start(2)) + 1}"
        kind, header = match.groups()
        if kind == '"':
            target = header.split("/")[0]
            if not exists(header):
                problems.append(f'{where}: "{header}" is not a file of src/ (write paths from src/; libraries in <>)')
            elif target not in RANK:
                problems.append(f"{where}: {target}/ has no place in the order of tools/check_includes.py")
            elif RANK[target] < RANK[folder]:
                problems.append(f"{where}: {folder}/ -> {target}/: includes point downward, and {target}/ lies above {folder}/")
            elif (folder, target) in FORBIDDEN:
                problems.append(f"{where}: {folder}/ -> {target}/: {FORBIDDEN[folder, target]}")
            continue
        if folder in PURE:
            for pattern, reason in IMPURE_HEADERS:
                if re.fullmatch(pattern, header):
                    problems.append(f"{where}: {folder}/ is pure and includes <{header}>: {reason}")
        reason = room_problem(header, folder, is_header)
        if reason:
            problems.append(f"{where}: {folder}/ includes <{header}>: {reason}")
    if folder in PURE:
        for pattern, reason in IMPURE_CALLS:
            for match in pattern.finditer(without_comments(text)):
                problems.append(f"src/{path}: {folder}/ is pure and calls {match.group(0).rstrip('( ')}: {reason}")
    return problems


def rings(includes):
    """Groups of units (a header and its source are one) that include each other in a circle. `includes`: unit -> units."""
    index, low, stack, found = {}, {}, [], []

    def visit(unit):
        index[unit] = low[unit] = len(index)
        stack.append(unit)
        for other in sorted(includes.get(unit, ())):
            if other not in index:
                visit(other)
                low[unit] = min(low[unit], low[other])
            elif other in stack:
                low[unit] = min(low[unit], index[other])
        if low[unit] == index[unit]:
            ring = stack[stack.index(unit):]
            del stack[stack.index(unit):]
            if len(ring) > 1:
                found.append(sorted(ring))

    sys.setrecursionlimit(10_000)
    for unit in sorted(includes):
        if unit not in index:
            visit(unit)
    return found


def check_rings(files):
    """`files`: path below src/ -> text."""
    includes = collections.defaultdict(set)
    for path, text in files.items():
        unit = os.path.splitext(path)[0]
        for kind, header in INCLUDE.findall(text):
            other = os.path.splitext(header)[0]
            if kind == '"' and other != unit:
                includes[unit].add(other)
    return [f"src/: these include each other in a ring, header and source taken as one: {', '.join(ring)}; move what they share into a header of its own"
            for ring in rings(includes)]


LIBRARY = re.compile(r"^drpf_library\((\w+)(?: USES ([\w ]+?))?(?: LINKS [^)]*)?\)$", re.MULTILINE)


def check_cmake(cmake, files):
    """The folders that each library of src/CMakeLists.txt uses are those that its files include, and they are built from the bottom up."""
    used = collections.defaultdict(set)
    for path, text in files.items():
        folder = path.split("/")[0]
        used[folder] |= {header.split("/")[0] for kind, header in INCLUDE.findall(text) if kind == '"'} - {folder}
    problems = []
    libraries = [(name, set((uses or "").split())) for name, uses in LIBRARY.findall(cmake)]
    for name, uses in libraries:
        for folder in sorted(uses - used[name]):
            problems.append(f"src/CMakeLists.txt: {name}/ USES {folder}, and includes nothing of it")
        for folder in sorted(used[name] - uses):
            problems.append(f"src/CMakeLists.txt: {name}/ includes from {folder}/, and does not say that it USES it")
    order = [name for name, _ in libraries]
    if order != list(reversed(ORDER)):
        problems.append(f"src/CMakeLists.txt: the libraries stand as {' '.join(order)}; from the bottom up they are {' '.join(reversed(ORDER))}")
    return problems


def check_map(page):
    """ARCHITECTURE.md names the folders of src/ from top to bottom."""
    block = page[page.find("\nsrc/\n"):]
    named = re.findall(r"^  (\w+)/ ", block[:block.find("```")], re.MULTILINE)
    return [] if named == ORDER else [f"ARCHITECTURE.md: the folders stand as {' '.join(named)}; from top to bottom they are {' '.join(ORDER)}"]


def print_rules():
    print("from top to bottom, each may include those below it:\n  " + " ".join(ORDER))
    print("forbidden all the same:")
    for (above, below), reason in FORBIDDEN.items():
        print(f"  {above} -> {below}: {reason}")
    print("pure (no socket, clock, random source, thread, file or log): " + " ".join(sorted(PURE)))
    print("libraries with a room of their own:")
    for pattern, folders, cpp_only, reason in ROOMS:
        print(f"  {pattern}: {' '.join(sorted(folders)) or 'nowhere'}{' (only in a .cpp file)' if cpp_only else ''}{': ' + reason if reason else ''}")
    print("no ring of includes, header and source taken as one")
    print("src/CMakeLists.txt: each library USES the folders that it includes, no more and no less, and they stand from the bottom up")
    print("ARCHITECTURE.md: the folders stand from top to bottom")


BAD = [
    ("lease/a.cpp", '#include "protocol/nat_pmp/server.h"'), ("core/a.h", '#include "crypto/hash.h"'), ("net/a.cpp", '#include "tunnel/tunnel.h"'),
    ("lease/a.cpp", "#include <thread>"), ("protocol/a.cpp", "#include <sys/socket.h>"), ("firewall/a.cpp", "#include <fstream>"),
    ("core/a.cpp", "#include <random>"), ("registry/a.cpp", "#include <iostream>"), ("lease/a.cpp", "#include <spdlog/spdlog.h>"),
    ("protocol/a.cpp", "#include <boost/asio/buffer.hpp>"), ("lease/a.cpp", "auto t = std::chrono::steady_clock::now();"),
    ("tunnel/a.cpp", "#include <openssl/evp.h>"), ("api/a.h", "#include <boost/beast/http.hpp>"), ("store/a.cpp", "#include <boost/asio.hpp>"),
    ("lease/a.cpp", "#include <sqlite3.h>"), ("redirect/a.cpp", "#include <libnftnl/set.h>"), ("elsewhere/a.h", ""),
    ("gateway/a.cpp", '#include "nowhere/a.h"'), ("redirect/a.cpp", '#include "store/store.h"'), ("ruleset/a.h", '#include "lease/types.h"'), ("net/a.h", "#include <CLI/CLI.hpp>"),
]
GOOD = [
    ("lease/a.cpp", '#include "core/port.h"\n#include <vector>'), ("protocol/a.cpp", '#include "crypto/hash.h"'), ("cli/main.cpp", '#include "gateway/wiring.h"'),
    ("net/a.h", "#include <boost/asio/io_context.hpp>"), ("api/a.cpp", "#include <boost/beast/http.hpp>"), ("crypto/a.cpp", "#include <openssl/evp.h>"),
    ("lease/a.cpp", "// never steady_clock::now()"), ("system/a.cpp", "#include <sys/socket.h>"),
]


RING = {"core/a.h": '#include "core/b.h"', "core/b.h": "", "core/b.cpp": '#include "core/a.h"'}
NO_RING = {"core/a.h": '#include "core/b.h"', "core/a.cpp": '#include "core/a.h"', "core/b.h": ""}


def samples_of_whole_checks():
    """Each whole check with something that it must refuse and something that it must let pass."""
    lines = "\n".join(f"drpf_library({name}{' USES core' if name == 'lease' else ''})" for name in reversed(ORDER))
    uses_core = {"lease/a.h": '#include "core/a.h"'}
    page = "\nsrc/\n" + "\n".join(f"  {name}/  what it is" for name in ORDER) + "\n```\n"
    return [(check_rings, (RING,), (NO_RING,)), (check_cmake, (lines, {}), (lines, uses_core)), (check_cmake, (lines.replace(" USES core", ""), uses_core), (lines, uses_core)),
            (check_cmake, (lines.replace("drpf_library(core)\n", "") + "\ndrpf_library(core)", uses_core), (lines, uses_core)),
            (check_map, (page.replace("  core/", "  other/"),), (page,))]


def self_test():
    def exists(name):
        return not name.startswith("nowhere/")
    passed = [sample for sample in BAD if not check(*sample, exists)]
    caught = [sample for sample in GOOD if check(*sample, exists)]
    if passed or caught:
        sys.exit(f"check_includes.py is broken: it lets pass {passed} and refuses {caught}")
    for rule, bad, good in samples_of_whole_checks():
        if not rule(*bad) or rule(*good):
            sys.exit(f"check_includes.py is broken: {rule.__name__} says {rule(*bad)} of a bad sample and {rule(*good)} of a good one")


def main():
    self_test()
    if "--rules" in sys.argv[1:]:
        print_rules()
        return 0
    source = os.path.join(source_files.ROOT, "src")
    files = {name[len("src/"):]: source_files.read_text(name) for name in source_files.cpp_files("src")}
    problems = []
    for path, text in files.items():
        problems += check(path, text, lambda header: os.path.isfile(os.path.join(source, header)))
    problems += check_rings(files)
    problems += check_cmake(source_files.read_text("src/CMakeLists.txt"), files)
    problems += check_map(source_files.read_text("ARCHITECTURE.md"))
    print("\n".join(problems) or f"{len(files)} files: every include points downward, in no ring, as CMake and ARCHITECTURE.md say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
