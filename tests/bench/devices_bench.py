#!/usr/bin/python3
"""./dev bench devices: ten thousand devices on one gateway: what each costs, and what one notices of the others.

The others are one program with as many keys (devices_fleet_bench); each has shaken hands, holds a port and sends a keepalive every 25
seconds. One device is drpf connect, and a visitor sends a stream to it, before they come and while they are there.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "netns")]

import gateway as gateway_module  # noqa: E402
from namespaces import wait_for  # noqa: E402
from subjects.drpf_ends import BothEnds  # noqa: E402
from subjects.measures import cpu_seconds, stream  # noqa: E402

FLEET = 40  # host number on the Internet
DEVICES_PER_ACCOUNT = 1000
SECONDS_MAX = 600
CONFIG = """
[limits]
packets_per_lease_per_s = 0
[[plan]]
name = "idle"
ports_max = 1000
ports_at_connect = 1
"""


class Crowded(BothEnds):
    def add_device(self):
        self.gateway = gateway_module.Gateway(self.lab, CONFIG)
        return self.gateway.add_device("bench", "device")

    def memory(self):
        """Bytes of the gateway's own, in memory."""
        with open(f"/proc/{self.gateway.process.pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(("Private_Dirty:", "Private_Clean:")))

    def ask(self, method, target, body=None):
        status, answer = gateway_module.call(self.gateway.socket, method, target, body, SECONDS_MAX)
        assert status < 300, (status, answer)
        return answer

    def add_devices(self, public_keys):
        """Their preshared keys."""
        preshared = []
        for number, key in enumerate(public_keys):
            account = f"crowd{number // DEVICES_PER_ACCOUNT}"
            if number % DEVICES_PER_ACCOUNT == 0:
                self.ask("POST", "/v1/accounts", {"name": account, "plan": "idle"})
            self.ask("POST", "/v1/devices", {"account": account, "name": f"idle{number}", "public_key": key})
            preshared += gateway_module.WgQuickFile(self.ask("GET", f"/v1/devices/idle{number}/config")["config"]).values("peer", "PresharedKey")
        return preshared

    def start_fleet(self, count, rate):
        host = self.lab.add_visitor("fleet", FLEET)
        pipe = os.path.join(self.lab.folder, "fleet-input")
        os.mkfifo(pipe)
        key = self.connected.file.values("peer", "PublicKey")[0]
        self.fleet = host.popen("sh", "-c", f'exec "$@" < {pipe}', "sh", self.tool("devices_fleet_bench"), self.lab.gw_v4, 51820, key, count, rate)
        self.fleet_input = open(pipe, "w", encoding="ascii")
        wait_for(lambda: self.fleet.output().count("\n") == count, SECONDS_MAX, "the keys of the fleet")
        return self.fleet.output().split()

    def let_come(self, preshared):
        self.fleet_input.write("\n".join(preshared) + "\n")
        self.fleet_input.flush()
        wait_for(lambda: self.fleet.output().endswith("}\n"), SECONDS_MAX, "every device has shaken hands")
        return json.loads(self.fleet.output().splitlines()[-1])

    def with_ports(self):
        return sum(device["connected"] for device in self.gateway.cli_json("device", "list"))


def timed(work):
    start = time.monotonic()
    return work(), time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(prog="./dev bench devices", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drpf", default=os.path.join(ROOT, "build/release/drpf"), help=argparse.SUPPRESS)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=500, help="how many come in a second")
    parser.add_argument("--rounds", type=int, default=5, help="streams before they come, and as many after")
    parser.add_argument("--seconds", type=int, default=4, help="of each stream")
    arguments = parser.parse_args()
    gateway_module.DRPF = os.path.abspath(arguments.drpf)
    tools = os.path.join(os.path.dirname(gateway_module.DRPF), "tests")
    count = arguments.devices
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        subject = Crowded(folder, tools)
        try:
            subject.serve()
            alone = [stream(subject, arguments.seconds)[0] for _ in range(arguments.rounds)]
            print("alone, Gbit/s: " + " ".join(f"{one:.2f}" for one in alone), flush=True)
            keys = subject.start_fleet(count, arguments.rate)
            memory = [subject.memory()]
            preshared, took = timed(lambda: subject.add_devices(keys))
            memory.append(subject.memory())
            print(f"{count:,} devices added and their files asked for by the API in {took:.1f} s, {took / count * 1000:.2f} ms each; {(memory[1] - memory[0]) / count:,.0f} bytes each", flush=True)
            before = cpu_seconds(subject.gateway.process.pid)
            came = subject.let_come(preshared)
            wait_for(lambda: subject.with_ports() == count + 1, SECONDS_MAX, "all are connected")
            used = cpu_seconds(subject.gateway.process.pid) - before
            memory.append(subject.memory())
            print(f"{came['connected']:,} shook hands in {came['seconds']:.1f} s at {arguments.rate} a second; the gateway took {used / count * 1000:.2f} ms each, ports"
                  f" included; {(memory[2] - memory[0]) / count:,.0f} bytes each in all", flush=True)
            beside = [stream(subject, arguments.seconds)[0] for _ in range(arguments.rounds)]
            print("beside them, Gbit/s: " + " ".join(f"{one:.2f}" for one in beside), flush=True)
            idle = cpu_seconds(subject.gateway.process.pid)
            time.sleep(10)
            print(f"idle, they cost {(cpu_seconds(subject.gateway.process.pid) - idle) * 10:.1f} % of a core", flush=True)
            for words in (("device", "list"), ("lease", "list"), ("status",)):
                _, took = timed(lambda words=words: subject.gateway.cli_json(*words))
                print(f"drpf {' '.join(words)}: {took:.2f} s")
            print(f"stream beside {count:,} idle devices: {statistics.median(beside) / statistics.median(alone):.2f} of alone (medians)")
        finally:
            subject.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
