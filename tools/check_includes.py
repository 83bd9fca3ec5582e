#!/usr/bin/python3
"""Checks that includes in src/ point downward, that pure folders stay pure, and that each library stays in its own room.

Prints one line for each forbidden edge, with the reason. Exit code 1 if there is one. The checker first checks itself on made-up
edges, so that a rule which cannot fail is noticed.
"""
import os
import re
import sys

import source_files

# Top to bottom: a folder may include those below it, never those above.
ORDER = ["cli", "lab", "daemon", "survey", "guard", "client", "gateway", "configuration", "terminal", "api_client", "api", "net", "tunnel", "redirect",
         "ruleset", "store", "probe", "system", "scan", "firewall", "protocol", "crypto", "lease", "registry", "core"]
RANK = {folder: position for position, folder in enumerate(ORDER)}

# Downward edges that are forbidden all the same.
FORBIDDEN = {
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
    (r"toml\+\+/.*|toml\.hpp", {"configuration"}, False, "the configuration file is read in gateway/, behind configuration_file.h"),
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


def self_test():
    def exists(name):
        return not name.startswith("nowhere/")
    passed = [sample for sample in BAD if not check(*sample, exists)]
    caught = [sample for sample in GOOD if check(*sample, exists)]
    if passed or caught:
        sys.exit(f"check_includes.py is broken: it lets pass {passed} and refuses {caught}")


def main():
    self_test()
    source = os.path.join(source_files.ROOT, "src")
    problems = []
    files = source_files.cpp_files("src")
    for name in files:
        problems += check(name[len("src/"):], source_files.read_text(name), lambda header: os.path.isfile(os.path.join(source, header)))
    print("\n".join(problems) or f"{len(files)} files, every include points downward")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
