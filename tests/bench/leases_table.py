#!/usr/bin/python3
"""./dev bench leases: grant, revoke and restore of 50,000 leases, in the book and the store (leases_bench) and in the kernel
(redirect_bench, in a network namespace of its own)."""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "netns"))

from namespaces import Namespaces  # noqa: E402

SECONDS_MAX = 1800


def print_row(line):
    """The programs print one JSON object a line: {"what", any figures...}; anything else is shown as it is."""
    try:
        row = json.loads(line)
        what = row.pop("what")
    except (ValueError, KeyError, AttributeError):
        print(line, end="", flush=True)
        return
    print(f"  {what:62}" + "".join(f"{name} {value:<14,}" if isinstance(value, (int, float)) else f"{name} {value} " for name, value in row.items()), flush=True)


def run_program(host, path, options):
    process = host.spawn([path, *options], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        print_row(line)
    return process.wait(SECONDS_MAX)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench leases", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    arguments, options = parser.parse_known_args()
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    print(f"{os.cpu_count()} x {model}, Linux {platform.release()}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        namespaces = Namespaces(folder)
        host = namespaces.host("bench")
        for program in ("leases_bench", "redirect_bench"):
            print(f"\n{program}", flush=True)
            path = os.path.abspath(os.path.join(arguments.build, "tests", program))
            failed += run_program(host, path, options) != 0
        namespaces.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
