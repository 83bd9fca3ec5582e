#!/usr/bin/python3
"""Runs clang-tidy-19 over src/, in parallel, and remembers what was clean.

A file is looked at again only when it, a header it includes, its compile command, .clang-tidy or clang-tidy itself changed.
"""
import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import source_files

TIDY = "clang-tidy-19"
SECONDS_MAX = 600
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/tidy", help="folder with compile_commands.json, a command for each file by itself")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    build = os.path.join(source_files.ROOT, arguments.build)
    cache = os.path.join(build, "clean")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = {os.path.relpath(entry["file"], os.path.join(source_files.ROOT, "src")): entry["command"] for entry in json.load(file)}
    version = subprocess.run([TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    rules = open(os.path.join(source_files.ROOT, ".clang-tidy"), encoding="utf-8").read()
    sources = Sources()

    def digest(name):
        parts = [version, rules, re.sub(r"^\S*ccache ", "", commands[name])] + [sources.text(header) for header in sources.closure(name)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    files = [name[len("src/"):] for name in source_files.cpp_files("src") if name.endswith(".cpp")]
    unknown = [name for name in files if name not in commands]
    if unknown:
        print("not built, so not looked at: " + " ".join(unknown))
        return 1
    stamps = {name: os.path.join(cache, digest(name)) for name in files}
    due = [name for name in files if not os.path.exists(stamps[name])]
    print(f"{len(files)} files, {len(files) - len(due)} known to be clean", flush=True)

    def look_at(name):
        start = time.monotonic()
        try:
            result = subprocess.run([TIDY, "-p", build, "--quiet", "--extra-arg=-w", os.path.join(source_files.ROOT, "src", name)],
                                    capture_output=True, text=True, timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return name, 1, f"took more than {SECONDS_MAX} s", SECONDS_MAX
        if result.returncode == 0:
            open(stamps[name], "w", encoding="utf-8").close()
        return name, result.returncode, result.stdout + (result.stderr if result.returncode and not result.stdout else ""), time.monotonic() - start

    failed = 0
    # The large ones first, so that the last of them does not run alone.
    due.sort(key=lambda name: -len(sources.closure(name)))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for number, (name, code, output, seconds) in enumerate(pool.map(look_at, due), 1):
            print(f"[{number}/{len(due)}] src/{name} {seconds:.1f} s" + (" FAILED" if code else ""), flush=True)
            if code:
                failed += 1
                print(output, flush=True)
    print(f"{len(files) - failed} clean, {failed} not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
