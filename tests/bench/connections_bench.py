#!/usr/bin/python3
"""./dev bench connections: new TCP connections per second through a leased port, with few and with many leases standing, without a tunnel.

All in the kernel: a visitor, the gateway's rules, and a cable where the tunnel would be. Measured in turn, each with 10 and 100,000 leases:
  plain           one map of an nft table of its own, as by hand, and nothing else
  drpf            the gateway's whole rule set
  no generation   the same without the rules that compare every packet with the leases that live
"""
import argparse
import json
import os
import platform
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "netns"))

import redirect_lab  # noqa: E402
from lab import Lab  # noqa: E402

PORT = 30001  # leased to the device; the others are leased to nobody who answers
POOL = range(10000, 30000)
LEASES = (10, 100_000)
AT_ONCE = 64
LIFETIME_MS = 3_600_000
GENERATION_CHECKS = ("revoked", "revoked_reset", "inbound_without_lease")
PLAIN = """
table ip plain {
  map leases { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; elements = { %s }; }
  chain in { type nat hook prerouting priority dstnat; policy accept;
    iifname "wan" dnat ip to ip daddr . meta l4proto . th dport map @leases
  }
}
"""


def others(count):
    """(protocol, public address, port, device address) of leases beside the one that is visited."""
    every = ((protocol, f"198.51.100.{100 + host}", port, f"10.77.{1 + host}.1") for host in range(50) for protocol in ("tcp", "udp") for port in POOL)
    return [next(every) for _ in range(count)]


class Way:
    def __init__(self, folder, tools, leases):
        self.lab = Lab(folder, homes=0)
        self.net = redirect_lab.RedirectLab(self.lab)
        self.program = os.path.join(tools, "visitor_bench")
        self.stand(leases)
        self.net.a.host.popen(self.program, "serve", self.net.a.v4, PORT).wait_for_output("serving")

    def measure(self, seconds):
        answer = self.net.inet.run(self.program, "connections", self.lab.gw_v4, PORT, seconds, AT_ONCE, seconds=seconds + 60).stdout
        figures = json.loads(answer)
        if figures["failed"]:
            print(f"  {figures['failed']} connections failed", flush=True)
        return figures["connections"] / figures["seconds"]


class Plain(Way):
    name = "plain"

    def stand(self, leases):
        self.net.gw.sysctl("net.ipv4.ip_forward", 1)
        rows = [f"{self.lab.gw_v4} . tcp . {PORT} : {self.net.a.v4} . {PORT}"]
        rows += [f"{address} . {protocol} . {port} : {device} . {port}" for protocol, address, port, device in others(leases - 1)]
        self.net.gw.nft(PLAIN % ", ".join(rows))


class Drpf(Way):
    name = "drpf"
    without = ()

    def stand(self, leases):
        probe = self.net.start(*(f"without {name}" for name in self.without))
        probe.ask("install", *self.net.words(1, "tcp", 4, PORT, self.net.a, lifetime_ms=LIFETIME_MS))
        for number, (protocol, address, port, device) in enumerate(others(leases - 1), 2):
            probe.ask("install", number, protocol, address, port, device, port, LIFETIME_MS)
        probe.ask("commit")


class NoGeneration(Drpf):
    name = "no generation"
    without = GENERATION_CHECKS


def main():
    parser = argparse.ArgumentParser(prog="./dev bench connections", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--leases", type=int, action="append", help=f"default {LEASES[0]} and {LEASES[1]}; may be given several times")
    parser.add_argument("--json", metavar="FILE", help="write every single figure there")
    arguments = parser.parse_args()
    tools = os.path.abspath(os.path.join(arguments.build, "tests"))
    redirect_lab.PROBE = os.path.join(tools, "redirect_probe")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}", flush=True)
    ways = []
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        try:
            for leases in arguments.leases or LEASES:
                for kind in (Plain, Drpf, NoGeneration):
                    ways.append((f"{kind.name}, {leases:,} leases", kind(os.path.join(folder, str(len(ways))), tools, leases)))
            rates = {name: [] for name, _ in ways}
            for number in range(1, arguments.rounds + 1):
                for name, way in ways:
                    rates[name].append(way.measure(arguments.seconds))
                    print(f"round {number}/{arguments.rounds} {name:34} {rates[name][-1]:10,.0f} connections/s", flush=True)
        finally:
            for _, way in ways:
                way.lab.close()
    base = statistics.median(rates[ways[0][0]])
    print(f"\n{'new connections/s':34}{'median':>10}{'lowest':>10}{'highest':>10}{'of ' + ways[0][0]:>28}")
    for name, values in rates.items():
        print(f"{name:34}{statistics.median(values):>10,.0f}{min(values):>10,.0f}{max(values):>10,.0f}{statistics.median(values) / base:>28.2f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rates, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
