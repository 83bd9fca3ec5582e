#!/usr/bin/python3
"""Do the fuzz targets compile with clang, which ./dev fuzz builds them with? The ordinary run builds them with g++ only, to replay their corpora.

What they call is read by clang too: clang-tidy does that. BUILD is a tree with compile_commands.json in which the targets are compiled.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import source_files

CLANG = "clang++-19"
# What g++ alone knows, and what is no matter of the language.
DROPPED = re.compile(r"-fpch-preprocess|-f(no-)?sanitize.*|-W.*|-MD|-O\S*|-g\d?")


def clang_command(command, source):
    words = shlex.split(re.sub(r"^.*?ccache ", "", command))[1:]
    kept = []
    while words:
        word = words.pop(0)
        if word in ("-o", "-MT", "-MF"):
            words.pop(0)
        elif word not in ("-c", source) and not DROPPED.fullmatch(word):
            kept.append(word)
    return [CLANG, *kept, "-w", "-fsyntax-only", source]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/test")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    arguments = parser.parse_args()
    with open(os.path.join(source_files.ROOT, arguments.build, "compile_commands.json"), encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    folder = os.path.join(source_files.ROOT, "tests", "fuzz")
    sources = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith("_fuzz.cpp"))
    if unknown := [source for source in sources if source not in entries]:
        print("not built, so not looked at: " + " ".join(unknown))
        return 1

    def look_at(source):
        entry = entries[source]
        return subprocess.run(clang_command(entry["command"], source), cwd=entry["directory"], capture_output=True, text=True)

    failed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for source, result in zip(sources, pool.map(look_at, sources)):
            if result.returncode:
                failed += 1
                print(f"{os.path.relpath(source, source_files.ROOT)}:\n{result.stderr}")
    print(f"{len(sources) - failed} clean, {failed} not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
