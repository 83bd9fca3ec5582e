#!/usr/bin/python3
"""./dev bench scan: how long drpf scan takes, and how much of it is right, on lines that are clean, lossy, silent or rationed.

Scanner and target are namespaces on one cable; 200 of the target's 65,535 ports are open. All subjects are measured in turn (A B A B),
reported are medians, the slowest run, and the worst result. Another scanner takes part by a template of its command line:

  ./dev bench scan --with 'SCANNER ITS OPTIONS {ports} {target}' --found '^(\\d+)/tcp +open'

{target} is an address or a prefix, {ports} a range such as 1-65535. --found is a regular expression whose matches in the output, one for each
open port, are counted. Everything shares this machine's cores: figures are of virtual cables, with a round trip of a tenth of a millisecond.
"""
import argparse
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "netns"))

from namespaces import Namespaces  # noqa: E402

TARGET = "10.42.0.2"
NETWORK = "10.43.0.0/16"
OPEN_PORTS = sorted({1000 + 317 * number for number in range(200)})
ICMP = {"net.ipv4.icmp_ratelimit": 0, "net.ipv4.icmp_msgs_per_sec": 100_000, "net.ipv4.icmp_msgs_burst": 100_000}
LISTEN = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
kept = []
for port in [443] + %r:
    made = socket.socket()
    made.bind(("0.0.0.0", port))
    made.listen(4096)
    kept.append(made)
print("listening", flush=True)
time.sleep(1 << 30)
"""


@dataclass(frozen=True)
class Case:
    name: str
    target: str
    ports: str
    loss: int = 0  # per cent of TCP packets, each way; 100: nothing comes in
    options: tuple = ()  # of drpf
    ration: str = ""  # rule of the target, which drops what is too much

    def expected(self):
        if self.target == NETWORK:
            return {"open": 32768, "closed": 16384, "filtered": 16384}
        first, last = map(int, self.ports.split("-"))
        found = 0 if self.loss == 100 else sum(first <= port <= last for port in {443, *OPEN_PORTS})
        return {"open": found, "filtered" if self.loss == 100 else "closed": last - first + 1 - found}


FAST = ("--start-rate", "100000")  # where nothing answers, only who owns the line may say that it bears more than the start rate
CASES = (Case("clean, all ports", TARGET, "1-65535"), Case("clean, 1,000 ports", TARGET, "1-1000"), Case("5 % loss each way", TARGET, "1-65535", 5),
         Case("20 % loss each way", TARGET, "1-65535", 20), Case("all dropped, all ports", TARGET, "1-65535", 100, FAST),
         Case("all dropped, 1,000 ports", TARGET, "1-1000", 100, FAST), Case("/16, TCP 443", NETWORK, "443", 0, FAST),
         Case("20 resets a second, 300 ports", TARGET, "1-300", ration="out: tcp flags & rst == rst limit rate over 20/second burst 5 packets drop"),
         Case("200 resets a second, 1,000 ports", TARGET, "1-1000", ration="out: tcp flags & rst == rst limit rate over 200/second burst 5 packets drop"),
         Case("100 new connections a second, 1,000 ports", TARGET, "1-1000", ration="in: ct state new limit rate over 100/second burst 5 packets drop"))


class Net:
    def __init__(self, folder):
        self.namespaces = Namespaces(folder)
        self.scanner, self.target = self.namespaces.host("scanner"), self.namespaces.host("target")
        self.namespaces.link(self.scanner, "eth0", self.target, "eth0")
        self.scanner.sh(f"ip addr add 10.42.0.1/24 dev eth0; ip route add {NETWORK} via {TARGET}")
        self.target.sh(f"ip addr add {TARGET}/24 dev eth0; ip route add local {NETWORK} dev lo")
        for name, value in ICMP.items():
            self.target.sysctl(name, value)
        self.target.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)
        # Of four neighbours of the network two are open, one is closed, one is silent.
        self.target.nft("table ip network { chain in { type filter hook input priority 0; policy accept; ip daddr 10.42.0.0/24 accept; "
                        "ip daddr & 0.0.0.3 == 0.0.0.1 reject with tcp reset; ip daddr & 0.0.0.3 == 0.0.0.3 drop; }; }")
        self.scanner.nft("table netdev count { counter sent { }; chain out { type filter hook egress device \"eth0\" priority 0; counter name sent; }; }")
        self.target.popen("/usr/bin/python3", "-c", LISTEN % OPEN_PORTS).wait_for_output("listening")

    def ration(self, rule):
        """`rule` begins with the direction: in or out."""
        self.target.run("nft", "delete", "table", "ip", "ration", check=False)
        if rule:
            direction, _, rule = rule.partition(": ")
            self.target.nft(f"table ip ration {{ chain {direction} {{ type filter hook {direction}put priority 0; {rule}; }}; }}")

    def packets(self):
        """That left the scanner: counted on the one hook that sees the frames of packet sockets too."""
        text = self.scanner.run("nft", "-j", "list", "counters", "netdev").stdout
        return next(entry["counter"]["packets"] for entry in json.loads(text)["nftables"] if "counter" in entry)

    def lose(self, percent):
        self.target.run("nft", "delete", "table", "ip", "loss", check=False)
        if percent:
            rule = "meta l4proto tcp drop" if percent == 100 else f"meta l4proto tcp numgen random mod 100 < {percent} drop"
            self.target.nft(f"table ip loss {{ chain in {{ type filter hook input priority -300; {rule}; }}; "
                            f"chain out {{ type filter hook output priority -300; {rule}; }}; }}")

    def timed(self, command, seconds):
        """(seconds, output, packets sent), or None where it did not end in time."""
        start, before = time.monotonic(), self.packets()
        try:
            result = self.scanner.run(*command, check=False, seconds=seconds)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - start, result.stdout, self.packets() - before


class Drpf:
    name = "drpf"

    def __init__(self, program):
        self.program = os.path.abspath(program)
        self.version = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def measure(self, net, case, seconds):
        command = [self.program, "scan", "--syn", "--format", "jsonl", "--no-discovery", "--no-resume", "--progress", "none", "-p", case.ports,
                   *case.options, case.target]
        ran = net.timed(command, seconds)
        if ran is None:
            return None
        took, output, packets = ran
        lines = [json.loads(line) for line in output.splitlines()]
        states = {}
        for host in lines[:-1]:
            for port in host.get("ports", []):
                states[port["state"]] = states.get(port["state"], 0) + 1
        expected = case.expected()
        wrong = sum(max(0, count - expected.get(state, 0)) for state, count in states.items() if state != "undecided")
        summary = lines[-1]["summary"]
        return {"seconds": took, "open": states.get("open", 0), "wrong": wrong, "undecided": states.get("undecided", 0), "probes": summary["probes"],
                "rate": summary["probes"] / took, "packets": packets}


class Other:
    def __init__(self, number, template, found):
        self.name, self.template, self.found = f"with {number}", template, found and re.compile(found, re.MULTILINE)
        self.version = template

    def measure(self, net, case, seconds):
        ran = net.timed(shlex.split(self.template.format(target=case.target, ports=case.ports)), seconds)
        if ran is None:
            return None
        figures = {"seconds": ran[0], "packets": ran[2]}
        if self.found:
            figures["open"] = len(self.found.findall(ran[1]))
        return figures


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def report(case, rows, seconds):
    expected = case.expected()
    print(f"\n{case.name}: {expected['open']} open of {sum(expected.values()):,}")
    for name, runs in rows.items():
        ended = [run for run in runs if run]
        text = f"  {name:10}"
        if ended:
            text += f" median {statistics.median(run['seconds'] for run in ended):7.3f} s, slowest {max(run['seconds'] for run in ended):7.3f} s"
            text += f", {statistics.median(run['packets'] for run in ended):,.0f} packets"
            if "open" in ended[0]:
                text += f", open found at the least {min(run['open'] for run in ended)}"
            if "wrong" in ended[0]:
                text += (f", wrong at most {max(run['wrong'] for run in ended)}, undecided at most {max(run['undecided'] for run in ended)}, "
                         f"{statistics.median(run['rate'] for run in ended):,.0f} packets/s")
        if len(ended) < len(runs):
            text += f"; {len(runs) - len(ended)} of {len(runs)} did not end in {seconds} s"
        print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench scan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drpf", default=os.path.join(ROOT, "build/release/drpf"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=120, help="that one run may take; default 120")
    parser.add_argument("--only", metavar="WORD", help="only cases with this word in their name")
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="TEMPLATE", help="another scanner; may be given several times")
    parser.add_argument("--found", metavar="PATTERN", help="matches each open port in the others' output")
    parser.add_argument("--json", metavar="FILE", help="write every single figure there")
    arguments = parser.parse_args()
    subjects = [Drpf(arguments.drpf)] + [Other(number, template, arguments.found) for number, template in enumerate(arguments.others, 1)]
    cases = [case for case in CASES if not arguments.only or arguments.only in case.name]
    print("\n".join([machine()] + [f"{subject.name}: {subject.version}" for subject in subjects]), flush=True)
    figures = {}
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        net = Net(folder)
        try:
            for case in cases:
                net.lose(case.loss)
                net.ration(case.ration)
                rows = {subject.name: [] for subject in subjects}
                for _ in range(arguments.rounds):
                    for subject in subjects:
                        rows[subject.name].append(subject.measure(net, case, arguments.seconds))
                report(case, rows, arguments.seconds)
                figures[case.name] = rows
        finally:
            net.namespaces.close()
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "versions": {subject.name: subject.version for subject in subjects}, "figures": figures}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
