#!/usr/bin/python3
"""./dev bench path: what a leased port costs, against the rivals, on one machine.

Three ways from a visitor to a server behind a gateway stand side by side in their own namespaces and are measured in turn (A B C A B C):
  drpf           drpf gateway and drpf connect
  wireguard-go   Debian's wireguard-go at both ends, the port redirected by an nft DNAT rule
  plain DNAT     the same redirect to a device on the wire, no tunnel and no encryption: the ceiling
Reported are medians over the rounds and their ratios to wireguard-go. Everything shares this machine's cores, both ends included.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "netns"))

import gateway as gateway_module  # noqa: E402
from lab import Lab, Plan  # noqa: E402
from namespaces import wait_for  # noqa: E402
from traffic import connect  # noqa: E402

IPERF_PORT, VISITOR_PORT = 20000, 20001
DEVICE = 30  # host number of the device on the Internet
PING_COUNT = 2000
AT_ONCE = 64
TICKS = os.sysconf("SC_CLK_TCK")
FORWARDING_RULES = """
table ip forwarded_ports {
  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    iifname "wan" meta l4proto { tcp, udp } th dport { %(ports)s } dnat to %(device)s
  }
}
"""


class Subject:
    """One way from the visitor to the device; the servers run on the device."""
    name = ""

    def __init__(self, folder):
        self.lab = Lab(folder, homes=0, plan=Plan())
        self.device = self.lab.add_visitor("device", DEVICE)
        self.visitor = self.add_far_visitor()
        self.address = self.lab.gw_v4
        self.ports = {IPERF_PORT: IPERF_PORT, VISITOR_PORT: VISITOR_PORT}
        self.engines = []  # processes whose own CPU time is reported
        self.build()

    def add_far_visitor(self):
        """In a network of its own: a device speaks to neighbours on its own wire past any tunnel."""
        visitor = self.lab.namespaces.host("visitor")
        self.lab.namespaces.link(self.lab.isp, "far", visitor, "eth0")
        self.lab.isp.sh("ip addr add 203.0.113.1/24 dev far")
        visitor.sh("ip addr add 203.0.113.20/24 dev eth0; ip route add default via 203.0.113.1")
        return visitor

    def serve(self, bench):
        self.device.popen("iperf3", "-s", "-p", self.ports[IPERF_PORT])
        # Bound, because an unbound UDP server answers from the address of its default route.
        self.device.popen(bench, "serve", self.inside, self.ports[VISITOR_PORT]).wait_for_output("serving")
        wait_for(lambda: answers(self), 30, f"{self.name} answers")

    def engine_seconds(self):
        return sum(cpu_seconds(process.pid) for process in self.engines)


def answers(subject):
    try:
        with connect(subject.visitor, subject.address, subject.ports[VISITOR_PORT], 2) as connection:
            return connection.recv(1) == b"!"
    except OSError:
        return False


class Drpf(Subject):
    name = "drpf"

    def build(self):
        """Sets self.inside, the address that the servers see themselves under."""
        self.gateway = gateway_module.Gateway(self.lab)
        text = self.gateway.add_device("bench", "device")
        self.connected = gateway_module.ConnectedDevice(self.device, text)
        self.inside = self.connected.address()
        ports = self.gateway.wait_for_ports("device", 5)
        self.ports = {IPERF_PORT: ports[0], VISITOR_PORT: ports[1]}
        self.engines = [self.gateway.process, self.connected.process]


class WireGuardGo(Subject):
    name = "wireguard-go"
    gateway_tunnel, inside = "10.77.0.1", "10.77.0.2"

    def build(self):
        gw, device = self.lab.gw, self.device
        keys = {host: host.run("wg", "genkey").stdout.strip() for host in (gw, device)}
        public = {host: host.run("wg", "pubkey", stdin=key).stdout.strip() for host, key in keys.items()}
        for host, address, peer in ((gw, self.gateway_tunnel, device), (device, self.inside, gw)):
            process = host.popen("wireguard-go", "-f", "wg0", env={"LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1"})
            self.engines.append(process)
            wait_for(lambda host=host: host.run("wg", "show", "wg0", check=False).returncode == 0, 10, "wireguard-go serves")
            allowed = f"{self.inside}/32" if host is gw else "0.0.0.0/0"
            endpoint = "" if host is gw else f"Endpoint = {self.lab.gw_v4}:51820\nPersistentKeepalive = 25\n"
            listen = "ListenPort = 51820\n" if host is gw else ""
            host.run("wg", "setconf", "wg0", "/dev/stdin",
                     stdin=f"[Interface]\nPrivateKey = {keys[host]}\n{listen}[Peer]\nPublicKey = {public[peer]}\nAllowedIPs = {allowed}\n{endpoint}")
            host.run("ip", "addr", "add", f"{address}/24", "dev", "wg0")
            host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")
        gw.sysctl("net.ipv4.ip_forward", 1)
        gw.nft(FORWARDING_RULES % {"ports": f"{IPERF_PORT}, {VISITOR_PORT}", "device": self.inside})
        # As a device that keeps its own default route: only what comes from its tunnel address goes back through the tunnel.
        device.sh(f"ip rule add from {self.inside} lookup 51820; ip route add default dev wg0 table 51820")


class PlainRedirect(Subject):
    name = "plain DNAT"
    inside = "10.9.0.2"

    def build(self):
        gw, device = self.lab.gw, self.device
        gw.sh("ip addr add 10.9.0.1/24 dev wan")
        device.sh("ip addr add 10.9.0.2/24 dev eth0; ip rule add from 10.9.0.2 lookup 9; ip route add default via 10.9.0.1 table 9")
        gw.sysctl("net.ipv4.ip_forward", 1)
        gw.nft(FORWARDING_RULES % {"ports": f"{IPERF_PORT}, {VISITOR_PORT}", "device": self.inside})


def cpu_seconds(pid):
    """User and system time of a process and of its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:15]) / TICKS


def machine_busy_seconds():
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq = (int(field) for field in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def throughput(subject, seconds, reverse):
    """(Gbit/s, machine CPU seconds per Gbit, engine CPU seconds per Gbit, retransmits)"""
    engine, machine = subject.engine_seconds(), machine_busy_seconds()
    result = subject.visitor.run("iperf3", "-c", subject.address, "-p", subject.ports[IPERF_PORT], "-t", seconds, "-J", *(["-R"] if reverse else []),
                                  seconds=seconds + 30)
    engine, machine = subject.engine_seconds() - engine, machine_busy_seconds() - machine
    end = json.loads(result.stdout)["end"]
    gbit = end["sum_received"]["bytes"] * 8 / 1e9
    return end["sum_received"]["bits_per_second"] / 1e9, machine / gbit, engine / gbit, end["sum_sent"].get("retransmits", 0)


def measure(subject, bench, seconds):
    figures = {}
    for direction, reverse in (("to device", False), ("from device", True)):
        gbit, machine, engine, retransmits = throughput(subject, seconds, reverse)
        figures |= {f"Gbit/s {direction}": gbit, f"CPU s/Gbit {direction}, machine": machine, f"CPU s/Gbit {direction}, both engines": engine,
                    f"retransmits {direction}": retransmits}
    visitor = subject.visitor
    ping = json.loads(visitor.run(bench, "ping", subject.address, subject.ports[VISITOR_PORT], PING_COUNT, seconds=60).stdout)
    figures |= {"UDP round trip, us, median": ping["p50_us"], "UDP round trip, us, 99 %": ping["p99_us"]}
    connections = json.loads(visitor.run(bench, "connections", subject.address, subject.ports[VISITOR_PORT], seconds, AT_ONCE, seconds=60).stdout)
    figures |= {"new TCP connections/s": connections["connections"] / connections["seconds"], "failed connections": connections["failed"]}
    return figures


def version(*command):
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=False)
        return (output.stdout + output.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "?"


def versions(drpf):
    package = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "wireguard-go", "nftables", "iperf3", "libssl3", "libssl3t64"],
                             capture_output=True, text=True, check=False).stdout.split("\n")
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    return [f"{os.cpu_count()} x {model}, Linux {platform.release()}", version(drpf, "--version")] + [line for line in package if line and not line.endswith(" ")]


def report(rows, reference):
    names = list(rows)
    print(f"\n{'median':42}" + "".join(f"{name:>16}" for name in names) + "".join(f"{name + ' / ' + reference:>26}" for name in names if name != reference))
    for metric in next(iter(rows.values()))[0]:
        medians = {name: statistics.median(figures[metric] for figures in rows[name]) for name in names}
        ratios = "".join(f"{medians[name] / medians[reference]:>26.2f}" if medians.get(reference) else f"{'':>26}" for name in names if name != reference)
        print(f"{metric:42}" + "".join(f"{medians[name]:>16.3f}" if medians[name] < 100 else f"{medians[name]:>16.0f}" for name in names) + ratios)
    print("\nspread (lowest to highest)")
    for metric in ("Gbit/s to device", "Gbit/s from device", "UDP round trip, us, median", "new TCP connections/s"):
        for name in names:
            values = [figures[metric] for figures in rows[name]]
            print(f"  {metric:32} {name:16} {min(values):10.2f} to {max(values):10.2f}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench path", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drpf", default=os.path.join(ROOT, "build/release/drpf"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="for each throughput and connection run")
    parser.add_argument("--without", action="append", default=[], help="leave a subject out: drpf, wireguard-go, plain")
    parser.add_argument("--json", metavar="FILE", help="write every single figure there")
    arguments = parser.parse_args()
    gateway_module.DRPF = os.path.abspath(arguments.drpf)
    bench = os.path.join(ROOT, "build/release/tests/visitor_bench")
    print("\n".join(versions(gateway_module.DRPF)))
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        kinds = [kind for kind in (Drpf, WireGuardGo, PlainRedirect) if not any(kind.name.startswith(name) for name in arguments.without)]
        subjects = [kind(os.path.join(folder, str(number))) for number, kind in enumerate(kinds)]
        rows = {subject.name: [] for subject in subjects}
        try:
            for subject in subjects:
                subject.serve(bench)
            for number in range(1, arguments.rounds + 1):
                for subject in subjects:
                    start = time.monotonic()
                    figures = measure(subject, bench, arguments.seconds)
                    rows[subject.name].append(figures)
                    print(f"round {number}/{arguments.rounds} {subject.name:14} {figures['Gbit/s to device']:6.2f} and {figures['Gbit/s from device']:6.2f} Gbit/s, "
                          f"{figures['UDP round trip, us, median']:6.0f} us, {figures['new TCP connections/s']:7.0f} connections/s ({time.monotonic() - start:.0f} s)",
                          flush=True)
        finally:
            for subject in subjects:
                subject.lab.close()
    report(rows, "wireguard-go" if "wireguard-go" in rows else subjects[-1].name)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions(gateway_module.DRPF), "rounds": rows}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
