#!/usr/bin/python3
"""Checks the house rules that a machine can check: length and names of files, first lines of headers, unfinished words, braces in
co_await, text that only makes sense on one machine. Each rule carries samples and is tried on them before it is used.
"""
import os
import re
import sys

import source_files

LINES_MAX = 600
CODE = (".h", ".cpp", ".py", ".sh", ".js", ".ts")
VAGUE = re.compile(r"(^|[/_.-])(utils?|utilit(y|ies)|common|manager|helpers?|misc)([_./-]|$)", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
ONE_MACHINE = re.compile(r"(?<![\w.])/(?:w[o]rk|h[o]me/\w+|r[o]ot)/|\bsnapshot\.debian\.org\b|\bartifactory\b|\bpypi\.org\b", re.IGNORECASE)


def file_length(path, text):
    if path.endswith(CODE) or path == "dev":
        lines = text.count("\n")
        if lines > LINES_MAX:
            yield f"{path}: {lines} lines; above {LINES_MAX} a file has more than one main thing"


def file_name(path, text):
    del text
    if VAGUE.search(path):
        yield f"{path}: the name says nothing; name what is in it"
    if path.startswith(("src/", "tests/")) and path.endswith((".h", ".cpp")) and re.search(r"[A-Z-]", path):
        yield f"{path}: file names are in snake_case"


def header_start(path, text):
    if path.endswith(".h"):
        if not text.startswith("//"):
            yield f"{path}:1: the first line of a header says what this is and what it does not do"
        if "#pragma once" not in text:
            yield f"{path}: a header needs #pragma once"


def unfinished(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if UNFINISHED.search(line):
            yield f"{path}:{number}: unfinished work belongs into an issue, not into the text: {line.strip()[:80]}"


def one_machine(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        match = ONE_MACHINE.search(line)
        if match:
            yield f"{path}:{number}: {match.group(0)!r} exists on one machine only: {line.strip()[:80]}"


def braces_in_co_await(path, text):
    """g++ 12 destroys an aggregate temporary inside a co_await expression twice."""
    if not path.endswith((".h", ".cpp")):
        return
    bare = re.sub(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)\'', lambda match: " " * len(match.group(0)), text)
    for match in re.finditer(r"\bco_await\b", bare):
        depth = 0
        for position in range(match.end(), len(bare)):
            character = bare[position]
            if character in "([":
                depth += 1
            elif character in ")]":
                depth -= 1
            if depth < 0 or character == ";":
                break
            if character == "{":
                line = bare.count("\n", 0, position) + 1
                yield f"{path}:{line}: a braced value inside a co_await expression is destroyed twice by g++ 12; name it first and move it in"
                break


def cast_of_buffer(path, text):
    """Bytes are read through ByteReader and written through ByteWriter in the folders that take bytes from strangers."""
    if path.startswith(("src/protocol/", "src/lease/", "src/firewall/")):
        for number, line in enumerate(text.split("\n"), 1):
            if "reinterpret_cast" in line.split("//")[0]:
                yield f"{path}:{number}: bytes are read through ByteReader and written through ByteWriter, never by a cast"


def one_log(path, text):
    """Every line of a log has one form: a logger or a sink of one's own would have another."""
    if path.startswith("src/") and path != "src/system/log.cpp":
        for match in re.finditer(r"spdlog/sinks/|make_shared<spdlog::logger>|\bspdlog::(?:set_|stdout_|stderr_)\w+|\bstd::(?:cerr|clog)\b", text):
            yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: a log is made by system/log.h, and by nobody else"


# Each rule with a file that it must refuse and one that it must let pass.
RULES = [
    (file_length, ("src/a.cpp", "x\n" * 601), ("src/a.cpp", "x\n" * 600)),
    (file_name, ("src/core/string_utils.h", ""), ("src/core/community.h", "")),
    (file_name, ("src/net/UdpSocket.cpp", ""), ("src/net/udp_socket.cpp", "")),
    (header_start, ("src/a.h", "#pragma once\n"), ("src/a.h", "// What it is.\n#pragma once\n")),
    (header_start, ("src/a.h", "// What it is.\n"), ("src/a.cpp", "int x;\n")),
    (unfinished, ("README.md", "TO" "DO: write this"), ("README.md", "the method of TODOS")),
    (one_machine, ("a.md", "see /wo" "rk/x"), ("a.md", "https://example.net/network/x")),
    (braces_in_co_await, ("a.cpp", 'co_await f(Options{"a", 2});'), ("a.cpp", "if (co_await f(std::move(options))) { g(); }")),
    (braces_in_co_await, ("a.cpp", "auto x = co_await g({1, 2});"), ("a.cpp", "co_await f(a); S s{1};")),
    (one_log, ("src/client/a.cpp", "#include <spdlog/sinks/stdout_sinks.h>"), ("src/client/a.cpp", 'spdlog::warn("it goes where the log goes");')),
    (cast_of_buffer, ("src/protocol/a.cpp", "auto* h = reinterpret_cast<const H*>(p);"), ("src/net/a.cpp", "reinterpret_cast<sockaddr*>(p)")),
]


def self_test():
    for rule, bad, good in RULES:
        if not list(rule(*bad)):
            sys.exit(f"check_house.py is broken: {rule.__name__} lets pass {bad[0]}: {bad[1][:60]!r}")
        if list(rule(*good)):
            sys.exit(f"check_house.py is broken: {rule.__name__} refuses {good[0]}: {good[1][:60]!r}")


def main():
    self_test()
    problems = []
    rules = list(dict.fromkeys(rule for rule, _, _ in RULES))
    files = [name for name in source_files.project_files() if not name.startswith((".ci/", "tests/fuzz/corpus/")) and name != "LICENSE"]
    for name in files:
        text = source_files.read_text(name)
        for rule in rules:
            problems += rule(name, text) if text is not None else []
    print("\n".join(problems) or f"{len(files)} files, {len(rules)} rules")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
