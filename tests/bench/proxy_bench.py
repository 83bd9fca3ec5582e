#!/usr/bin/python3
"""./dev bench proxy: the proxy against Debian's tinyproxy, squid (no cache) and dante, in three namespaces: client, proxy, origin.

Measured in turn, so that what else this machine does meets all alike: new connections per second (also with clients that close by a reset), one bulk
stream and many, and memory (PSS) per idle tunnel. Figures are medians; the ratio is drpf's to the best of the others.
"""
import argparse
import json
import os
import re
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "netns"))

from namespaces import Namespaces, wait_for  # noqa: E402

PROXY, ORIGIN, ORIGIN_PORT = "192.168.7.1", "5.6.7.8", 8443
TINYPROXY = f"User nobody\nGroup nogroup\nPort 8888\nListen {PROXY}\nTimeout 600\nMaxClients 20000\nAllow 192.168.7.0/24\nConnectPort {ORIGIN_PORT}\n"
SQUID = f"""http_port {PROXY}:3129
acl all_sources src all
http_access allow all_sources
cache deny all
access_log none
cache_log /dev/null
pid_filename none
shutdown_lifetime 0 seconds
cache_effective_user nobody
cache_effective_group nogroup
max_filedescriptors 65536
"""
DANTE = f"""logoutput: /dev/null
internal: {PROXY} port = 1080
external: 5.6.7.1
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


class Subject:
    def __init__(self, name, port, ways, command, version, config=""):
        self.name, self.port, self.ways, self.command, self.version, self.config = name, port, ways, command, version, config

    def start(self, lab):
        path = os.path.join(lab.namespaces.folder, f"{self.name}.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.config)
        self.process = lab.proxy.popen("sh", "-c", "ulimit -n 65536; exec \"$@\"", "sh", *[part.replace("CONFIG", path) for part in self.command])
        wait_for(lambda: f":{self.port} " in lab.proxy.sh("ss -Hltn"), 20, f"{self.name} listens")

    def memory(self, lab):
        """PSS of all its processes, in KiB."""
        total = 0
        for pid in descendants(self.process.pid):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M)[1])
        return total


def descendants(pid):
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in file.read().split():
                found += descendants(int(child))
    return found


class BenchLab:
    def __init__(self, folder, load):
        self.namespaces, self.load = Namespaces(folder), load
        self.client, self.proxy, self.origin = (self.namespaces.host(name) for name in ("client", "proxy", "origin"))
        self.namespaces.link(self.client, "lan0", self.proxy, "lan0")
        self.namespaces.link(self.proxy, "wan0", self.origin, "wan0")
        self.client.ip("address add 192.168.7.2/24 dev lan0", f"route add default via {PROXY}")
        self.proxy.ip(f"address add {PROXY}/24 dev lan0", "address add 5.6.7.1/24 dev wan0")
        self.origin.ip(f"address add {ORIGIN}/24 dev wan0", "route add default via 5.6.7.1")
        self.proxy.sysctl("net.ipv4.ip_forward", 1)
        for host in (self.client, self.proxy, self.origin):
            host.sysctl("net.ipv4.ip_local_port_range", "1024 65000")
            host.sysctl("net.ipv4.tcp_tw_reuse", 1)
        self.origin.popen(load, "serve", ORIGIN, ORIGIN_PORT).wait_for_output("serving")

    def run(self, verb, way, port, *numbers, env=None):
        words = (self.load, verb, way, PROXY, port, ORIGIN, ORIGIN_PORT, *numbers)
        return json.loads(self.client.run(*words, seconds=120, env=env).stdout)

    def memory_per_tunnel(self, subject, way, count):
        before = subject.memory(self)
        holder = self.client.popen(self.load, "idle", way, PROXY, subject.port, ORIGIN, ORIGIN_PORT, count)
        wait_for(lambda: "open" in holder.output(), 60, "the tunnels are open")
        opened = json.loads(holder.output())["open"]
        after = subject.memory(self)
        holder.kill()
        return (after - before) / opened if opened > count // 2 else None


def version_of(*command):
    import subprocess
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).splitlines()[0].strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder of drpf and tests/proxy_load_bench")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tunnels", type=int, default=800, help="idle ones")
    arguments = parser.parse_args()
    drpf, load = (os.path.abspath(os.path.join(arguments.build, name)) for name in ("drpf", "tests/proxy_load_bench"))
    subjects = [
        Subject("drpf", 3128, ("http", "connect", "socks5"), [drpf, "proxy", "--listen", f"{PROXY}:3128"], (drpf, "--version")),
        Subject("tinyproxy", 8888, ("http", "connect"), ["tinyproxy", "-d", "-c", "CONFIG"], ("tinyproxy", "-v"), TINYPROXY),
        Subject("squid", 3129, ("http", "connect"), ["squid", "-N", "-f", "CONFIG"], ("squid", "-v"), SQUID.replace("acl all_sources", f"acl SSL_ports port {ORIGIN_PORT}\nacl all_sources")),
        Subject("dante", 1080, ("socks5",), ["danted", "-f", "CONFIG"], ("danted", "-v"), DANTE)]
    for subject in subjects:
        print(f"{subject.name}: {version_of(*subject.version)}")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        lab = BenchLab(folder, load)
        try:
            for subject in subjects:
                subject.start(lab)
            todo = [(subject, way) for subject in subjects for way in subject.ways] + [(None, "direct")]
            for _ in range(arguments.rounds):
                for subject, way in todo:
                    port, name = (subject.port, subject.name) if subject else (0, "direct")
                    for row, found in measure(lab, way, port, arguments.seconds):
                        rows.setdefault((row, way), {}).setdefault(name, []).append(found)
            for subject in subjects:
                for way in subject.ways[1:2] or subject.ways:  # one each: what a first one has given back would be taken by the second
                    found = lab.memory_per_tunnel(subject, way, arguments.tunnels)
                    if found is not None:
                        rows.setdefault(("KiB per idle tunnel", way), {}).setdefault(subject.name, []).append(found)
        finally:
            lab.namespaces.close()
    for (row, way), found in sorted(rows.items()):
        medians = {name: statistics.median(values) for name, values in found.items()}
        rivals = [value for name, value in medians.items() if name not in ("drpf", "direct")]
        less = "KiB" in row or "ms" in row
        best = (min if less else max)(rivals) if rivals else None
        ratio = f"   drpf / best other: {medians['drpf'] / best:.2f}" if best and "drpf" in medians else ""
        print(f"{row:38} {way:8} " + "  ".join(f"{name} {value:.2f}" for name, value in medians.items()) + ratio)


def measure(lab, way, port, seconds):
    plain = lab.run("requests", way, port, seconds, 32)
    yield "new per second", plain["per_second"]
    yield "p99 ms", plain["p99_ms"]
    if plain["failed"]:
        yield "failed", plain["failed"]
    reset = lab.run("requests", way, port, seconds, 32, env={"RESET": "1"})
    yield "new per second, closed by reset", reset["per_second"]
    yield "Gbit/s, one stream", lab.run("bulk", way, port, seconds, 1)["gbit_per_s"]
    yield "Gbit/s, 100 streams", lab.run("bulk", way, port, seconds, 100)["gbit_per_s"]


if __name__ == "__main__":
    main()
