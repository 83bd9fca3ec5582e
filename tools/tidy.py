#!/usr/bin/python3
"""Runs clang-tidy-19 over src/, in parallel, and remembers what was clean.

Several files that are compiled alike are read as one, so that their headers are read once. With --alone each is read by itself, which takes four
times as long and finds a missing include too.

A file is looked at again only when it, a header it includes, its compile command, .clang-tidy or clang-tidy itself changed.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import source_files

TIDY = "clang-tidy-19"
SECONDS_MAX = 600
FILES_MAX = 16  # of one unit
READ_ALONE = ("system/",)  # as it is compiled: Linux's own headers and the C library's do not bear each other
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


class Sources:
    """What a file and all headers of ours below it hold."""

    def __init__(self):
        self.texts = {}

    def text(self, name):
        if name not in self.texts:
            path = os.path.join(source_files.ROOT, "src", name)
            self.texts[name] = open(path, encoding="utf-8", errors="replace").read() if os.path.isfile(path) else ""
        return self.texts[name]

    def closure(self, name):
        seen, waiting = set(), [name]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += INCLUDE.findall(self.text(current))
        return sorted(seen)


def units(commands, alone):
    """Groups of files whose commands differ in nothing but the file, each with one command: [(names, command)]."""
    groups, out = {}, []
    for name in sorted(commands):
        single = alone or name.startswith(READ_ALONE)
        alike = re.sub(r" -o \S+ -c \S+", "", commands[name])
        group = groups.setdefault((alike, name if single else os.path.dirname(name).split("/")[0]), [])
        if not group or len(group[-1]) == FILES_MAX:
            group.append([])
        group[-1].append(name)
    for (alike, _), batches in groups.items():
        out += [(batch, alike) for batch in batches]
    return out


def write_database(folder, all_units):
    """A source for each unit, and compile_commands.json for them; the paths of the sources in the order of the units."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    paths, entries = [], []
    for number, (names, command) in enumerate(all_units):
        path = os.path.join(folder, f"unit_{number}.cpp") if len(names) > 1 else os.path.join(source_files.ROOT, "src", names[0])
        if len(names) > 1:
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(f'#include "{os.path.join(source_files.ROOT, "src", name)}"\n' for name in names)
        paths.append(path)
        entries.append({"directory": folder, "file": path, "command": f"{command} -c {path}"})
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/tidy", help="folder with compile_commands.json, a command for each file by itself")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="each file by itself")
    arguments = parser.parse_args()
    build = os.path.join(source_files.ROOT, arguments.build)
    cache = os.path.join(build, "clean")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    commands = {os.path.relpath(entry["file"], os.path.join(source_files.ROOT, "src")): re.sub(r"^\S*ccache ", "", entry["command"]) for entry in entries}
    version = subprocess.run([TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    rules = open(os.path.join(source_files.ROOT, ".clang-tidy"), encoding="utf-8").read()
    sources = Sources()

    def closure(names):
        return sorted(set().union(*(sources.closure(name) for name in names)))

    def digest(names, command):
        parts = [version, rules, command, *names] + [sources.text(header) for header in closure(names)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    files = [name[len("src/"):] for name in source_files.cpp_files("src") if name.endswith(".cpp")]
    unknown = [name for name in files if name not in commands]
    if unknown:
        print("not built, so not looked at: " + " ".join(unknown))
        return 1
    all_units = units({name: commands[name] for name in files}, arguments.alone)
    folder = os.path.join(build, "alone" if arguments.alone else "units")
    paths = write_database(folder, all_units)
    due = []
    for (names, command), path in zip(all_units, paths):
        stamp = os.path.join(cache, digest(names, command))
        if not os.path.exists(stamp):
            due.append((names, path, stamp))
    print(f"{len(files)} files, {len(files) - sum(len(names) for names, _, _ in due)} known to be clean", flush=True)

    def look_at(unit):
        names, path, stamp = unit
        start = time.monotonic()
        try:
            result = subprocess.run([TIDY, "-p", folder, "--quiet", "--extra-arg=-w", path], capture_output=True, text=True, timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return names, 1, f"took more than {SECONDS_MAX} s", SECONDS_MAX
        if result.returncode == 0:
            open(stamp, "w", encoding="utf-8").close()
        return names, result.returncode, result.stdout + (result.stderr if result.returncode and not result.stdout else ""), time.monotonic() - start

    failed = 0
    # The large ones first, so that the last of them does not run alone.
    due.sort(key=lambda unit: -len(closure(unit[0])))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for number, (names, code, output, seconds) in enumerate(pool.map(look_at, due), 1):
            print(f"[{number}/{len(due)}] {' '.join(names)} {seconds:.1f} s" + (" FAILED" if code else ""), flush=True)
            if code:
                failed += len(names)
                print(output, flush=True)
    print(f"{len(files) - failed} clean, {failed} not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
