#!/usr/bin/python3
"""./dev bench requests: NAT-PMP requests per second and their latency, against Debian's miniupnpd, with more and more mappings standing.

Both servers run side by side in namespaces of their own on the same kernel, and are measured in turn. A request is a mapping, its renewal or
its deletion, a third each. drpf is asked through a tunnel (drpf connect), as it always is, and commits to disk before it answers; miniupnpd is
asked over a wire.
  at once   as many as can be, 16 waiting at a time: requests/s, and the latency that this makes
  paced     so many a second, whether answers come or not: the latency that programs see
  flood     one device asks 100,000 times a second, and another one at a steady pace: what the flood does to the other's latency. The flood is
            made, encrypted and decrypted on this machine too, so that on few processors it takes them away from everything.
miniupnpd takes the more time for a mapping the more there are, from its lease_file too: 10,000 would take it longer than a quarter of an hour, so
that it is left out above --miniupnpd-max. Give a larger one for the whole table.
"""
import argparse
import collections
import ctypes
import os
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "netns"), HERE]

import gateway as gateway_module  # noqa: E402
from lab import Lab, Plan  # noqa: E402
from namespaces import wait_for  # noqa: E402
from path_bench import machine, package  # noqa: E402

PORT = 5351
AT_ONCE = 16
WAITING_MAX = 200  # of the paced requests; what finds no room counts as not answered
GIVEN_UP_AFTER = 5.0  # seconds: then the request is lost
FIRST_STANDING, FIRST_BUSY = 10_000, 25_000  # internal ports
LIFETIME, DELETE = 7200, 0
FLOOD_BATCH = 64  # requests in one system call
FLOOD_PORT = 40_000  # internal
LIMITED_FILE = """
[limits]
requests_per_device_per_s = 100
"""
MINIUPNPD_TABLE = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; policy accept; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""
MINIUPNPD_FILE = """
ext_ifname=wan
ext_ip={public}
listening_ip=lan
enable_natpmp=yes
enable_upnp=no
min_lifetime=60
max_lifetime=86400
secure_mode=yes
system_uptime=yes
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""
DRPF_FILE = """
[limits]
requests_per_device_per_s = 0
[[plan]]
name = "bench"
ports_max = 20000
ports_at_connect = 0
port_choice = true
"""


class Drpf:
    name = "drpf"

    def __init__(self, folder, config=DRPF_FILE, plan="bench", homes=1):
        self.lab = Lab(folder, homes=homes, plan=Plan())
        self.client, self.server = self.lab.homes[0], "10.77.0.1"
        self.gateway = gateway_module.Gateway(self.lab, config=config)
        self.connected = [gateway_module.ConnectedDevice(home, self.gateway.add_device(f"bench{number}", f"device{number}", plan))
                          for number, home in enumerate(self.lab.homes)]


class Miniupnpd:
    name = "miniupnpd"

    def __init__(self, folder):
        self.lab = Lab(folder, homes=0, plan=Plan())
        self.client, self.server = self.lab.namespaces.host("client"), "10.9.0.1"
        self.lab.namespaces.link(self.lab.gw, "lan", self.client, "eth0")
        self.lab.gw.sh("ip addr add 10.9.0.1/24 dev lan")
        self.client.sh("ip addr add 10.9.0.2/24 dev eth0; ip route add default via 10.9.0.1")
        self.lab.gw.sysctl("net.ipv4.ip_forward", 1)
        self.lab.gw.nft(MINIUPNPD_TABLE)
        path = os.path.join(folder, "miniupnpd.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(MINIUPNPD_FILE.format(public="9.9.9.1"))
        self.process = self.lab.gw.popen("/usr/sbin/miniupnpd", "-f", path, "-P", os.path.join(folder, "miniupnpd.pid"))


def request(internal, lifetime):
    return struct.pack("!BBHHHI", 0, 2, 0, internal, internal, lifetime)


class Asker:
    """One socket of the client, and the requests that wait for their answers; known by their internal ports."""

    def __init__(self, subject):
        self.socket = subject.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.connect((subject.server, PORT))
        self.socket.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.sent = {}
        self.latencies, self.lost, self.refused = [], 0, 0

    def ask(self, internal, lifetime):
        self.sent[internal] = time.perf_counter()
        self.socket.send(request(internal, lifetime))

    def answered(self, seconds):
        """Internal ports that an answer came for, within the time."""
        if not self.selector.select(max(seconds, 0)):
            return []
        found = []
        while True:
            try:
                answer = self.socket.recv(64)
            except BlockingIOError:
                return found
            _, _, code, _, internal = struct.unpack("!BBHIH", answer[:10])
            began = self.sent.pop(internal, None)
            if began is None:
                continue
            self.latencies.append(time.perf_counter() - began)
            self.refused += code != 0
            found.append(internal)

    def overdue(self):
        limit = time.perf_counter() - GIVEN_UP_AFTER
        late = [internal for internal, began in self.sent.items() if began < limit]
        for internal in late:
            del self.sent[internal]
        self.lost += len(late)
        return late

    def close(self):
        self.selector.close()
        self.socket.close()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("nan")


def stand(subject, count, have):
    """So many mappings stand afterwards."""
    asker = Asker(subject)
    waiting = collections.deque(range(FIRST_STANDING + have, FIRST_STANDING + count))
    began = time.monotonic()
    while waiting or asker.sent:
        while waiting and len(asker.sent) < AT_ONCE:
            asker.ask(waiting.popleft(), LIFETIME)
        asker.answered(0.1)
        waiting.extend(asker.overdue())
    asker.close()
    if asker.refused:
        raise SystemExit(f"{subject.name} refused {asker.refused} of {count - have} mappings")
    return time.monotonic() - began


STEPS = (LIFETIME, LIFETIME, DELETE)  # mapping, renewal, deletion


def at_once(subject, seconds):
    asker = Asker(subject)
    step = {FIRST_BUSY + number: 0 for number in range(AT_ONCE)}
    began = time.perf_counter()
    for internal in step:
        asker.ask(internal, STEPS[0])
    while (now := time.perf_counter()) < began + seconds:
        for internal in asker.answered(began + seconds - now) + asker.overdue():
            step[internal] = (step[internal] + 1) % len(STEPS)
            asker.ask(internal, STEPS[step[internal]])
    took, count = time.perf_counter() - began, len(asker.latencies)
    end(asker, list(step))
    return {"requests/s": count / took, "at once p50, ms": percentile(asker.latencies, 0.5), "at once p99, ms": percentile(asker.latencies, 0.99),
            "lost": asker.lost, "refused": asker.refused}


def paced(subject, rate, seconds):
    asker = Asker(subject)
    free = collections.deque((FIRST_BUSY + number, 0) for number in range(WAITING_MAX))
    step, began, asked, due = {}, time.perf_counter(), 0, 0
    while (now := time.perf_counter()) < began + seconds:
        due = int((now - began) * rate) + 1
        while asked < due and free:
            internal, step[internal] = free.popleft()
            asker.ask(internal, STEPS[step[internal]])
            asked += 1
        next_due = began + due / rate
        for internal in asker.answered(next_due - time.perf_counter()) + asker.overdue():
            # The next step of a mapping comes before a new one, so that about as many stand all the time.
            free.appendleft((internal, (step[internal] + 1) % len(STEPS))) if step[internal] < 2 else free.append((internal, 0))
    end(asker, [internal for internal, last in step.items() if last < 2])
    return {"paced p50, ms": percentile(asker.latencies, 0.5), "paced p99, ms": percentile(asker.latencies, 0.99),
            "paced, answered share": len(asker.latencies) / max(due, 1)}


def end(asker, standing):
    """Waits for the last answers, then deletes what stands, so that the next round finds what this one found."""
    limit = time.perf_counter() + GIVEN_UP_AFTER
    while asker.sent and time.perf_counter() < limit:
        asker.answered(0.1)
    asker.lost += len(asker.sent)
    asker.sent.clear()
    latencies, lost = len(asker.latencies), asker.lost
    while standing or asker.sent:
        while standing and len(asker.sent) < AT_ONCE:
            asker.ask(standing.pop(), DELETE)
        asker.answered(0.1)
        standing.extend(asker.overdue())
    del asker.latencies[latencies:]
    asker.lost = lost
    asker.close()


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32), ("parts", ctypes.c_void_p), ("part_count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_uint32)]


class Part(ctypes.Structure):
    _fields_ = [("start", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Flood:
    """Requests of one device, so many a second, by a process of its own; knows how many it sent."""

    def __init__(self, host, server, rate):
        asking = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.connect((server, PORT))
        reading, writing = os.pipe()
        self.began, self.reading = time.monotonic(), reading
        self.pid = os.fork()
        if self.pid == 0:
            self.send(asking.fileno(), writing, rate)
        os.close(writing)
        asking.close()

    @staticmethod
    def send(socket_number, writing, rate):
        ending = []
        signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
        libc = ctypes.CDLL(None)
        payload = request(FLOOD_PORT, LIFETIME)
        part = Part(payload, len(payload))
        batch = (Message * FLOOD_BATCH)(*(Message(parts=ctypes.addressof(part), part_count=1) for _ in range(FLOOD_BATCH)))
        sent, began = 0, time.monotonic()
        while not ending:
            if sent < (time.monotonic() - began) * rate:
                sent += max(libc.sendmmsg(socket_number, batch, FLOOD_BATCH, socket.MSG_DONTWAIT), 0)
            else:
                time.sleep(FLOOD_BATCH / rate)
        os.write(writing, str(sent).encode())
        os._exit(0)

    def stop(self):
        """Requests per second that were sent."""
        os.kill(self.pid, signal.SIGTERM)
        sent = int(os.read(self.reading, 64))
        os.waitpid(self.pid, 0)
        os.close(self.reading)
        return sent / (time.monotonic() - self.began)


def flooded(folder, arguments):
    """What the steady device sees without and with another one's flood, in turn."""
    subject = Drpf(folder, config=LIMITED_FILE, plan=None, homes=2)
    try:
        wait_for(lambda: is_there(subject), 30, "drpf answers")
        seen = {"without": [], "with": []}
        rates = []
        for _ in range(arguments.rounds):
            seen["without"].append(steady(subject, arguments))
            flood = Flood(subject.lab.homes[1], subject.server, arguments.flood)
            try:
                seen["with"].append(steady(subject, arguments))
            finally:
                rates.append(flood.stop())
        print(f"\none device floods with {statistics.median(rates):.0f} requests/s, another asks {arguments.steady} times a second; medians")
        print(f"{'':34}{'without':>14}{'with':>14}{'change':>14}")
        for place, name in enumerate(("p50, ms", "p99, ms")):
            without, others = (statistics.median(figures[place] for figures in seen[kind]) for kind in ("without", "with"))
            print(f"{name:34}{without:>14.2f}{others:>14.2f}{(others / without - 1) * 100:>+12.0f} %", flush=True)
        print(f"{'not answered':34}{sum(one[2] for one in seen['without']):>14}{sum(one[2] for one in seen['with']):>14}", flush=True)
    finally:
        subject.lab.close()


def steady(subject, arguments):
    """p50, p99 and how many were not answered, of one mapping that is asked for, renewed and ended."""
    asker, began, asked = Asker(subject), time.perf_counter(), 0
    while (now := time.perf_counter()) < began + arguments.seconds:
        due = began + asked / arguments.steady
        if now < due:
            asker.answered(due - now)
            continue
        mapping, step = divmod(asked, len(STEPS))
        if FIRST_BUSY + mapping % WAITING_MAX not in asker.sent:
            asker.ask(FIRST_BUSY + mapping % WAITING_MAX, STEPS[step])
        asked += 1
    end(asker, [])
    return percentile(asker.latencies, 0.5), percentile(asker.latencies, 0.99), asker.lost


def main():
    parser = argparse.ArgumentParser(prog="./dev bench requests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drpf", default=os.path.join(ROOT, "build/release/drpf"))
    parser.add_argument("--standing", default="10,1000,10000", help="how many mappings stand, one after the other")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="for each measurement")
    parser.add_argument("--rate", type=int, default=2000, help="requests per second of the paced measurement")
    parser.add_argument("--flood", type=int, default=100_000, help="requests per second of the device that floods; 0 = no flood")
    parser.add_argument("--steady", type=int, default=150, help="requests per second of the device beside the flood")
    parser.add_argument("--miniupnpd-max", type=int, default=1000, help="leave miniupnpd out when more mappings stand")
    parser.add_argument("--without", action="append", default=[], help="leave a subject out: drpf, miniupnpd")
    arguments = parser.parse_args()
    gateway_module.DRPF = os.path.abspath(arguments.drpf)
    drpf = subprocess.run([gateway_module.DRPF, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print("\n".join(machine()[:2] + [drpf, package("miniupnpd-nftables")]))
    with tempfile.TemporaryDirectory(prefix="drpf-bench-") as folder:
        subjects = [kind(os.path.join(folder, kind.name)) for kind in (Drpf, Miniupnpd) if kind.name not in arguments.without]
        try:
            for subject in subjects:
                wait_for(lambda subject=subject: is_there(subject), 30, f"{subject.name} answers")
            have = 0
            for count in (int(text) for text in arguments.standing.split(",") if text):
                if count > arguments.miniupnpd_max and any(subject.name == "miniupnpd" for subject in subjects):
                    print(f"miniupnpd is left out from {count} mappings on (--miniupnpd-max)")
                    next(subject for subject in subjects if subject.name == "miniupnpd").lab.close()
                    subjects = [subject for subject in subjects if subject.name != "miniupnpd"]
                for subject in subjects:
                    print(f"{subject.name}: {count - have} more mappings in {stand(subject, count, have):.1f} s", flush=True)
                have = count
                rows = {subject.name: [] for subject in subjects}
                for _ in range(arguments.rounds):
                    for subject in subjects:
                        figures = at_once(subject, arguments.seconds)
                        figures |= paced(subject, arguments.rate, arguments.seconds)
                        rows[subject.name].append(figures)
                report(count, rows)
        finally:
            for subject in subjects:
                subject.lab.close()
        if arguments.flood and "drpf" not in arguments.without:
            flooded(os.path.join(folder, "flood"), arguments)
    return 0


def is_there(subject):
    with subject.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        try:
            asking.connect((subject.server, PORT))
            asking.send(b"\0\0")
            return len(asking.recv(64)) == 12
        except OSError:
            return False


def report(count, rows):
    names = list(rows)
    ratio = names == ["drpf", "miniupnpd"]
    print(f"\n{f'{count} mappings stand; medians':34}" + "".join(f"{name:>14}" for name in names) + (f"{'drpf / miniupnpd':>20}" if ratio else ""))
    for metric in rows[names[0]][0]:
        medians = [statistics.median(figures[metric] for figures in rows[name]) for name in names]
        share = f"{medians[0] / medians[1]:>20.2f}" if ratio and medians[1] else ""
        print(f"{metric:34}" + "".join(f"{value:>14.2f}" if value < 1000 else f"{value:>14.0f}" for value in medians) + share, flush=True)


if __name__ == "__main__":
    sys.exit(main())
