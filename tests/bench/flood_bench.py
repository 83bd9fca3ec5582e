#!/usr/bin/python3
"""./dev bench handshakes: what handshakes cost (handshakes_bench), and what a flood of them costs everybody else.

A gateway with a device that a visitor sends a stream to. Initiations with a right mac1 and a guessed mac2 come from 131,072 addresses that
are not their sender's; meanwhile the stream goes on, and devices come that were never here: stock wireguard-go, and drpf connect. In turn:
  alone      the stream by itself
  elsewhere  beside the same flood to a host that throws it away: what the sender takes of the machine that all share
  flooded    beside the flood to the gateway; its cost is the difference from `elsewhere`
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "netns")]

import gateway as gateway_module  # noqa: E402
from namespaces import LabError, wait_for  # noqa: E402
from subjects.drpf_ends import BothEnds  # noqa: E402
from subjects.measures import cpu_seconds, stream  # noqa: E402

FLOODER, SINK, FIRST_NEWCOMER = 40, 41, 50  # host numbers on the Internet
SPOOFED = "198.18.0.0/15"
NEWCOMER_SECONDS_MAX = 60
WARM_UP_SECONDS = 1


class Flooded(BothEnds):
    """The subject of ./dev bench path, and beside it somebody who floods."""

    def __init__(self, folder, tools):
        super().__init__(folder, tools)
        self.lab.isp.sh(f"ip route add blackhole {SPOOFED}")  # where the answers go
        self.flooder = self.lab.add_visitor("flooder", FLOODER)
        self.sink = self.lab.add_visitor("sink", SINK)
        self.sink.nft("table inet sink { chain in { type filter hook prerouting priority -400; udp dport 51820 drop; }; }\n")
        self.key = self.connected.file.values("peer", "PublicKey")[0]
        self.newcomers = 0

    def flood(self, host_number, rate):
        process = self.flooder.popen(self.tool("handshake_flood"), self.key, self.lab.plan.address4(host_number), 51820, rate, 3600)
        process.wait_for_output("READY")
        return process

    def gateway_seconds(self):
        return cpu_seconds(self.gateway.process.pid)

    def handshaken(self, name):
        return next(row for row in self.gateway.cli_json("device", "list") if row["name"] == name)["connected"]

    def newcomer(self, kind):
        """Seconds from a new device's start until it has an answer through the tunnel; None if it has none in a minute."""
        self.newcomers += 1
        name = f"new{self.newcomers}"
        text = self.gateway.add_device("bench", name)
        host = self.lab.add_visitor(name, FIRST_NEWCOMER + self.newcomers)
        start = time.monotonic()
        device = kind(host, text)
        inside = f"{device.address().rsplit('.', 2)[0]}.0.1"
        try:
            wait_for(lambda: host.run("ping", "-n", "-c", "1", "-W", "1", inside, check=False).returncode == 0, NEWCOMER_SECONDS_MAX, f"{name} is in", every=0.05)
            return time.monotonic() - start
        except AssertionError:
            return None
        finally:
            device.process.kill()


def ended(process):
    process.stop()
    sent = json.loads(process.output().splitlines()[-1])
    return sent["sent"] / sent["seconds"]


def one_round(subject, rate, seconds):
    figures = {}
    for what, target in (("alone", None), ("elsewhere", SINK), ("flooded", subject.lab.plan.gateway[0])):
        process = subject.flood(target, rate) if target else None
        time.sleep(WARM_UP_SECONDS)
        before = subject.gateway_seconds()
        figures[f"stream {what}, Gbit/s"] = stream(subject, seconds)[0]
        figures[f"gateway's CPU, {what}"] = (subject.gateway_seconds() - before) / seconds
        if process and what == "flooded":
            for name, kind in (("stock device", gateway_module.WireGuardDevice), ("drpf connect", gateway_module.ConnectedDevice)):
                took = subject.newcomer(kind)
                if took is None:
                    raise LabError(f"a new {name} was kept out for {NEWCOMER_SECONDS_MAX} s")
                figures[f"new {name} is in, s"] = took
        if process:
            figures[f"sent {what}, initiations/s"] = ended(process)
    figures["stream kept, of elsewhere"] = figures["stream flooded, Gbit/s"] / figures["stream elsewhere, Gbit/s"]
    figures["stream kept, of alone"] = figures["stream flooded, Gbit/s"] / figures["stream alone, Gbit/s"]
    return figures


def costs(tools):
    for line in subprocess.run([os.path.join(tools, "handshakes_bench")], capture_output=True, text=True, check=True).stdout.splitlines():
        row = json.loads(line)
        print(f"  {row.pop('what'):52}" + "  ".join(f"{name} {value:,}" for name, value in row.items()))


def main():
    parser = argparse.ArgumentParser(prog="./dev bench handshakes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drpf", default=os.path.join(ROOT, "build/release/drpf"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each stream")
    parser.add_argument("--rate", type=int, default=50_000, help="initiations per second; 0: as many as go")
    parser.add_argument("--json", metavar="FILE", help="write every single figure there")
    arguments = parser.parse_args()
    gateway_module.DRPF = os.path.abspath(arguments.drpf)
    tools = os.path.join(os.path.dirname(gateway_module.DRPF), "tests")
    costs(tools)
    rounds = []
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        subject = Flooded(folder, tools)
        try:
            subject.serve()
            for number in range(1, arguments.rounds + 1):
                rounds.append(one_round(subject, arguments.rate, arguments.seconds))
                print(f"round {number}/{arguments.rounds}: " + ", ".join(f"{name} {value:,.2f}" for name, value in rounds[-1].items()), flush=True)
        finally:
            subject.close()
    print(f"\n{'':36}{'median':>14}{'lowest':>14}{'highest':>14}")
    for name in rounds[0]:
        values = [figures[name] for figures in rounds]
        print(f"{name:36}{statistics.median(values):>14,.2f}{min(values):>14,.2f}{max(values):>14,.2f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"rate": arguments.rate, "rounds": rounds}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
