#!/usr/bin/python3
"""./dev soak [--hours N]: a gateway that is never left in peace, and whether it stays the same size.

The real gateway in namespaces, six devices behind NAT routers (three stock wireguard-go, three `drpf connect`, one of these never
disturbed), visitors, an administrator, devices that ask for, renew and release ports, reloads good and bad, kill -9 of clients, foreign
flushes, jumps of the wall clock. Every ten seconds the gateway and the undisturbed client are measured. It passes when nothing has grown
beyond stated limits between the first and the last fifth of the time after the warm-up, and no visit failed that had to succeed.

One process is watched from beginning to end, so the gateway is only killed and restarted with --restarts. The clock that deadlines are
kept in (CLOCK_BOOTTIME) cannot jump on a real machine either, and a time namespace shifts it only at its creation: what jumps here is wall
time, as when somebody sets it, through a preloaded library.
"""
import argparse
import json
import os
import platform
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [os.path.join(ROOT, "tests", "netns"), HERE]

from actors import Administrator, DeviceLife, Disturbances, Ledger, Visitors  # noqa: E402
from gateway import DRPF, Gateway  # noqa: E402
from lab import Lab  # noqa: E402
from samples import MIB, Series, cpu_seconds, elements_of, percentile, process_figures, table, verdicts  # noqa: E402
from servers import EchoServers  # noqa: E402

KINDS = ("drpf connect", "drpf connect", "drpf connect", "wireguard-go", "wireguard-go", "wireguard-go")
SAMPLE_SECONDS = 10
WARM_UP_SECONDS_MAX = 15 * 60
SETTLE_SECONDS = 15  # after a disturbance, before a visit must succeed again
VISITS_FAILED_SHARE_MAX = 0.002
# The shortest times that the gateway takes, so that everything that ends has ended many times in an hour.
CONFIGURATION = """[tunnel]
disconnect_after = "60s"
[leases]
grace = "3m"
quarantine = "120s"
[limits]
connections_per_device = %d
[[plan]]
name = "business"
lease_lifetime = "2m"
"""


class Soak:
    def __init__(self, folder, seed, restarts):
        self.folder, self.seed, self.restarts = folder, seed, restarts
        self.ledger, self.series = Ledger(), Series()
        self.stopping, self.disturbed_at, self.disturbing = threading.Event(), time.monotonic(), False
        self.reloads = 0
        self.clock = os.path.join(folder, "clock")
        self.set_clock(0)
        self.lab = Lab(folder, homes=len(KINDS))
        self.servers = EchoServers()
        self.gateway = Gateway(self.lab, CONFIGURATION % 4096, start=False)
        library = os.path.join(folder, "shifted_clock.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "shifted_clock.c"), "-ldl"], check=True)
        os.environ |= {"LD_PRELOAD": library, "SHIFTED_CLOCK": self.clock}  # only for the start of the gateway
        try:
            self.gateway.start()
        finally:
            del os.environ["LD_PRELOAD"]
        self.devices = [DeviceLife(self, home, kind, steady=number == 0) for number, (home, kind) in enumerate(zip(self.lab.homes, KINDS))]
        self.actors = [*self.devices, Administrator(self, "administrator"), Visitors(self, "visitors"), Disturbances(self, "disturbances")]

    def set_clock(self, seconds):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def write_configuration(self):
        self.reloads += 1
        self.gateway.write_config(CONFIGURATION % (4096 + self.reloads % 2))

    def disturb(self, action):
        self.disturbing = True
        try:
            action()
        finally:
            self.disturbed_at, self.disturbing = time.monotonic(), False

    def undisturbed(self):
        return not self.disturbing and time.monotonic() - self.disturbed_at > SETTLE_SECONDS

    def sample(self):
        values = {}
        steady = self.devices[0].device
        for name, process in (("gateway", self.gateway.process), ("connect", steady and steady.process)):
            figures = process and process.pid and process_figures(process.pid)
            if figures:
                values |= {f"{name} rss": figures[0], f"{name} descriptors": figures[1], f"{name} threads": figures[2]}
        values["conntrack entries"] = self.lab.gw.call(read_number, "/proc/thread-self/net/stat/nf_conntrack")
        values["nft elements"] = elements_of(self.lab.gw.run("nft", "list", "table", "inet", "drpf", check=False).stdout)
        files = {name: os.path.getsize(os.path.join(self.gateway.state, name)) / MIB for name in os.listdir(self.gateway.state)}
        values["write-ahead log"] = sum(size for name, size in files.items() if name.endswith("-wal"))
        values["database"] = sum(files.values()) - values["write-ahead log"] - sum(size for name, size in files.items() if name.endswith("-shm"))
        latencies = self.ledger.take_latencies()
        if latencies:
            values["answer p99"] = 1000 * percentile(latencies, 0.99)
        self.series.add(values)
        return values

    def run(self, seconds, csv):
        end = time.monotonic() + seconds
        for actor in self.actors:
            actor.start()
        next_sample, names = time.monotonic() + SAMPLE_SECONDS, None
        while time.monotonic() < end:
            time.sleep(max(0.0, min(next_sample, end) - time.monotonic()))
            next_sample += SAMPLE_SECONDS
            if not self.gateway.process.running() and not self.disturbing:
                self.ledger.failed("gateway", "it ended by itself:\n" + self.gateway.log_text()[-2000:])
                break
            try:
                values = self.sample()
            except (OSError, AssertionError, subprocess.SubprocessError) as error:
                self.ledger.failed("measuring", str(error))
                continue
            names = names or list(values)
            print(f"{self.series.seconds():.0f}," + ",".join(f"{name}={values[name]:.2f}" for name in values), file=csv, flush=True)
        self.stopping.set()
        for actor in self.actors:
            actor.join(30)
        return time.monotonic() >= end

    def cpu_seconds(self):
        steady = self.devices[0].device
        return {"gateway": cpu_seconds(self.gateway.process.pid), "undisturbed client": cpu_seconds(steady.process.pid) if steady else 0.0}


def read_number(path):
    """Entries of this network namespace: the first column of the first row is the table's size."""
    with open(path, encoding="ascii") as file:
        return int(file.read().splitlines()[1].split()[0], 16)


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1, help="of the order of events")
    parser.add_argument("--restarts", action="store_true", help="kill and restart the gateway, too; its memory is then not judged")
    parser.add_argument("--folder", help="where logs and samples are kept (default: a new one in /tmp)")
    parser.add_argument("--json", metavar="FILE", help="write the table to this file, too")
    options = parser.parse_args()
    folder = options.folder or tempfile.mkdtemp(prefix="drpf-soak-")
    os.makedirs(folder, exist_ok=True)
    seconds = options.hours * 3600
    print(f"{options.hours:g} h with {DRPF}; logs and samples in {folder}", flush=True)
    soak = Soak(folder, options.seed, options.restarts)
    started = time.monotonic()
    try:
        with open(os.path.join(folder, "samples.csv"), "w", encoding="utf-8") as csv:
            whole = soak.run(seconds, csv)
        cpu = soak.cpu_seconds()
    finally:
        soak.stopping.set()
        soak.servers.close()
        soak.lab.close()
    lasted = time.monotonic() - started
    rows = verdicts(soak.series, min(WARM_UP_SECONDS_MAX, seconds / 4))
    if options.restarts:
        rows = [row for row in rows if row["name"] not in ("gateway rss", "gateway descriptors", "gateway threads")]
    return report(soak, rows, cpu, lasted, whole, options)


def report(soak, rows, cpu, lasted, whole, options):
    counts, failures = dict(soak.ledger.counts), dict(soak.ledger.failures)
    print(f"\nLinux {platform.release()}, {os.cpu_count()} cores, {lasted / 60:.0f} minutes, seed {options.seed}")
    print("what happened: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    for what, count in sorted(failures.items()):
        print(f"failed: {count} of {what}; the first: {soak.ledger.examples[what]}")
    print(f"processor time: {', '.join(f'{name} {used:.0f} s' for name, used in cpu.items())}")
    print(table(rows))
    log = soak.gateway.log_text()
    complaints = re.findall(r"^.*\b(?:error|critical)\b.*$", log, re.MULTILINE)
    complaints = [line for line in complaints if "the configuration stays as it was" not in line]  # the refused reloads
    print(f"lines of level error in the gateway's log: {len(complaints)}" + "".join(f"\n  {line[:200]}" for line in complaints[:5]))
    must = counts.get("visits that must succeed", 0)
    lost = failures.get("visits that must succeed", 0)
    flat = bool(rows) and all(row["flat"] for row in rows)
    passed = whole and flat and must > 0 and lost <= VISITS_FAILED_SHARE_MAX * must
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"passed": passed, "rows": rows, "counts": counts, "failures": failures, "seconds": lasted}, file, indent=1)
    print(f"{'PASSED' if passed else 'FAILED'}: {'flat' if flat else 'not flat'}, {lost} of {must} visits failed that had to succeed"
          f" (at most {VISITS_FAILED_SHARE_MAX:.1%}){'' if whole else ', the gateway ended early'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
