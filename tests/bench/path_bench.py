#!/usr/bin/python3
"""./dev bench path: what a leased port costs, against the rivals, on one machine.

Each way from a visitor to a server behind a gateway stands in namespaces of its own; they are measured in turn (A B C A B C), so that a
noisy minute touches all of them. Reported are medians over the rounds, their ratios to a reference, and the spread. Everything shares this
machine's cores: both ends of the tunnel, visitor, server, and the kernel between them.

  drpf            drpf gateway and drpf connect            openvpn-aes, openvpn-chacha   OpenVPN, the port led on by nft
  drpf-gateway    drpf gateway, stock wireguard-go         ssh                           ssh -R
  drpf-connect    stock wireguard-go, drpf connect         haproxy                       a plain relay, no tunnel
  wireguard-go    Debian's at both ends, and nft           plain                         the kernel's redirect, no tunnel: the ceiling
"""
import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "netns")]

import gateway as gateway_module  # noqa: E402
from subjects import KINDS, WireGuardGo  # noqa: E402
from subjects.measures import SETS, measure  # noqa: E402
from subjects.subject import package  # noqa: E402

QUICK = {"only": ["drpf", "wireguard-go", "plain"], "rounds": 3, "seconds": 1}
REFERENCE = "wireguard-go"
SPREAD = ("TCP x1 to device, Gbit/s", "TCP x1 from device, Gbit/s", "request, us, median")


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    return [f"{os.cpu_count()} x {model}, Linux {platform.release()}", package("nftables"), package("iperf3"), package("libssl3")]


def number(value):
    return "" if value is None else f"{value:.3f}" if value < 100 else f"{value:,.0f}"


def report(rows, reference):
    """rows: {subject: [figures of a round, ...]}; a figure that a subject does not have stays empty."""
    names = list(rows)
    width = max(16, *(len(name) + 2 for name in names))
    metrics = list(dict.fromkeys(metric for rounds in rows.values() for figures in rounds for metric in figures))
    medians = {name: {metric: statistics.median(values) if (values := [figures[metric] for figures in rows[name] if metric in figures]) else None
                      for metric in metrics} for name in names}
    print(f"\n{'medians':44}" + "".join(f"{name:>{width}}" for name in names))
    for metric in metrics:
        print(f"{metric:44}" + "".join(f"{number(medians[name][metric]):>{width}}" for name in names))
    print(f"\n{'as a multiple of ' + reference:44}" + "".join(f"{name:>{width}}" for name in names))
    for metric in metrics:
        base = medians[reference][metric]
        ratios = [medians[name][metric] / base if base and medians[name][metric] is not None else None for name in names]
        print(f"{metric:44}" + "".join(f"{number(ratio):>{width}}" for ratio in ratios))
    print("\nlowest and highest")
    for metric in (metric for metric in SPREAD if metric in metrics):
        for name in names:
            values = [figures[metric] for figures in rows[name] if metric in figures]
            if values:
                print(f"  {metric:32} {name:{width}} {min(values):10.2f} {max(values):10.2f}")
    return medians


def kinds(arguments):
    chosen = {word: kind for word, kind in KINDS.items() if (not arguments.only or word in arguments.only) and word not in arguments.without}
    chosen.update({f"with {path}": WireGuardGo.with_binary(path) for path in arguments.with_binary})
    return chosen


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench path", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drpf", default=os.path.join(ROOT, "build/release/drpf"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--seconds", type=int, help="of each stream; default 4")
    parser.add_argument("--only", action="append", default=[], metavar="SUBJECT", choices=list(KINDS), help="may be given several times")
    parser.add_argument("--without", action="append", default=[], metavar="SUBJECT", choices=list(KINDS))
    parser.add_argument("--with", dest="with_binary", action="append", default=[], metavar="PATH", help="another wireguard-go binary, compared too")
    parser.add_argument("--measure", action="append", default=[], choices=list(SETS), help="only these; may be given several times")
    parser.add_argument("--quick", action="store_true", help="three subjects, three short rounds: under three minutes")
    parser.add_argument("--json", metavar="FILE", help="write every single figure there")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.only = arguments.only or QUICK["only"]
    for name, usual in (("rounds", 5), ("seconds", 4)):
        if getattr(arguments, name) is None:
            setattr(arguments, name, QUICK[name] if arguments.quick else usual)
    return arguments


def main():
    arguments = parse()
    gateway_module.DRPF = os.path.abspath(arguments.drpf)
    tools = os.path.join(os.path.dirname(gateway_module.DRPF), "tests")
    sets = arguments.measure or list(SETS)
    subjects = []
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        try:
            for index, kind in enumerate(kinds(arguments).values()):
                subjects.append(kind(os.path.join(folder, str(index)), tools))
                subjects[-1].serve()
            if not subjects:
                sys.exit("nothing is left to measure")
            rows = {subject.name: [] for subject in subjects}
            versions = {subject.name: subject.version() for subject in subjects}
            print("\n".join(machine() + [f"{name}: {version}" for name, version in versions.items()]), flush=True)
            for turn in range(1, arguments.rounds + 1):
                for subject in subjects:
                    start = time.monotonic()
                    rows[subject.name].append(measure(subject, sets, arguments.seconds))
                    brief = ", ".join(f"{metric} {number(rows[subject.name][-1][metric])}" for metric in SPREAD if metric in rows[subject.name][-1])
                    print(f"round {turn}/{arguments.rounds} {subject.name:20} {brief} ({time.monotonic() - start:.0f} s)", flush=True)
        finally:
            for subject in subjects:
                subject.close()
    medians = report(rows, REFERENCE if REFERENCE in rows else subjects[-1].name)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "versions": versions, "seconds": arguments.seconds, "medians": medians, "rounds": rows}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
