"""A gateway host with a tunnel interface made of cables, and redirect_probe in it: the redirect without the tunnel engine.

    inet 198.51.100.20 ── isp ── wan gw tun0 ── engine ── ann 10.77.0.2  (on the Internet itself: 198.51.100.31)
                                                     └─── bob 10.77.0.3  (198.51.100.32)

"engine" does what the tunnel engine does with packets: all that devices send goes to the gateway, all that the gateway sends goes to the
device with that address. A device uses the tunnel for what has its tunnel address as source, and the Internet for everything else.
"""
import os
import select
import socket
import subprocess
import threading
import time

from lab import Lab
from traffic import UdpServer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROBE = os.environ.get("DRPF_REDIRECT_PROBE", os.path.join(ROOT, "build", "test", "tests", "redirect_probe"))
LIFETIME_MS = 600_000
CABLE_MAC = "020000000001"
PROBE_INTERFACE, PROBE_ADDRESS = "drpf-probe", {4: "192.0.2.77", 6: "2001:db8:6472:7066::77"}
PROBE_DOOR = f"probe {PROBE_INTERFACE} {PROBE_ADDRESS[4]} {PROBE_ADDRESS[6]}"


class ProbeError(RuntimeError):
    pass


class Probe:
    """The process that would be the gateway."""

    def __init__(self, host):
        self.process = host.spawn([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        answer = self.process.stdout.readline().strip()
        if answer != "ok" and not answer.startswith("ok "):
            raise ProbeError(answer or f"redirect_probe ended with code {self.process.wait(10)}")
        return answer[3:]

    def kill(self):
        self.process.kill()
        self.process.wait(10)


class Device:
    def __init__(self, host, v4, v6, wan_v4, wan_v6):
        self.host, self.v4, self.v6, self.wan_v4, self.wan_v6 = host, v4, v6, wan_v4, wan_v6

    def address(self, version):
        return self.v4 if version == 4 else self.v6

    def udp_server(self, version, port):
        """Bound to the tunnel address, so that its answers go back through the tunnel and not by the device's own Internet."""
        return UdpServer(self.host, port, versions=(version,), bind=self.address(version))

    def socket(self, version, kind, port=0):
        """A socket that sends through the tunnel."""
        made = self.host.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.address(version), port))
        return made


class RedirectLab:
    def __init__(self, lab):
        self.lab, self.gw, self.inet = lab, lab.gw, lab.inet
        self.engine = lab.namespaces.host("engine")
        self.engine.sysctl("net.ipv4.ip_forward", 1)
        self.engine.sysctl("net.ipv6.conf.all.forwarding", 1)
        self._cable(self.gw, "tun0", self.engine, "gateway")
        self.gw.ip("addr add 10.77.0.1/16 dev tun0", "addr add fd77::1/64 dev tun0 nodad")
        for version in (4, 6):
            self.engine.ip("route add default dev gateway table 100", version=version)
        self.a, self.b = self._device("ann", 2), self._device("bob", 3)
        self.make_door()
        self.probe = None

    def _device(self, name, number):
        host = self.lab.add_visitor(name, 29 + number)
        device = Device(host, f"10.77.0.{number}", f"fd77::{number}", self.lab.plan.address4(29 + number), self.lab.plan.address6(29 + number))
        self._cable(host, "tunnel", self.engine, name)
        for version, address in ((4, f"{device.v4}/32"), (6, f"{device.v6}/128")):
            host.ip(f"addr add {address} dev tunnel {'nodad' if version == 6 else ''}", "route add default dev tunnel table 100",
                    f"rule add from {address} lookup 100", version=version)
            self.engine.ip(f"rule add iif {name} lookup 100", f"route add {address} dev {name}", version=version)
        return device

    def make_door(self):
        """What the gateway would send on its interface for visits of its own comes from a host here."""
        self.door = self.lab.namespaces.host("door")
        self._cable(self.gw, PROBE_INTERFACE, self.door, "door")
        for version in (4, 6):
            self.door.ip(f"addr add {PROBE_ADDRESS[version]} dev door", "route add default dev door", version=version)
            self.gw.ip(f"route add {PROBE_ADDRESS[version]} dev {PROBE_INTERFACE}", version=version)

    def _cable(self, a, a_name, b, b_name):
        """Without link addresses, as a TUN device is: the same one at both ends and nobody asks."""
        self.lab.namespaces.link(a, a_name, b, b_name, mtu=1420)
        for host, name in ((a, a_name), (b, b_name)):
            host.ip(f"link set {name} address {bytes.fromhex(CABLE_MAC).hex(':')} arp off", f"link set {name} up")

    def public(self, version):
        return self.lab.gw_v4 if version == 4 else self.lab.gw_v6

    def visitor(self, version):
        return self.lab.inet_v4 if version == 4 else self.lab.inet_v6

    def new_probe(self, *settings):
        probe = Probe(self.gw)
        for setting in ("public wan", "tunnel tun0", "tunnel_v4 10.77.0.0/16", "tunnel_v6 fd77::/64", f"host {self.lab.gw_v4}",
                        f"host {self.lab.gw_v6}", "input_tcp 22", PROBE_DOOR, *settings):
            probe.ask("set", setting)
        self.probe = probe
        return probe

    def start(self, *settings, options=()):
        probe = self.new_probe(*settings)
        probe.ask("start", *options)
        self.devices_are_here(probe)
        return probe

    def devices_are_here(self, probe, interface="tun0"):
        for account, device in enumerate((self.a, self.b), 1):
            for address in (device.v4, device.v6):
                probe.ask("here", address, interface, LIFETIME_MS, account)

    def words(self, generation, protocol, version, public_port, device, device_port=None, lifetime_ms=LIFETIME_MS):
        return (generation, protocol, self.public(version), public_port, device.address(version), device_port or public_port, lifetime_ms)

    def change(self, *commands):
        """change(("install", 5, "tcp", 4, 20000, lab.a, 110), ("remove", ...)): one transaction."""
        for command, *lease in commands:
            self.probe.ask(command, *self.words(*lease))
        return self.probe.ask("commit")

    def counter(self, name):
        """Packets that a named rule has counted."""
        for line in self.gw.sh("nft list table inet drpf").splitlines():
            if f'comment "{name}"' in line:
                return int(line.split("packets ")[1].split()[0])
        raise AssertionError(f"no rule {name}")


class Stream:
    """A UDP stream with numbered datagrams, 200 a second, from a socket to an address."""

    def __init__(self, sender, to, seconds_between=0.005):
        self.sender, self.to, self.seconds_between = sender, to, seconds_between
        self.sent = 0
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.closing.wait(self.seconds_between):
            try:
                self.sender.sendto(b"%d" % self.sent, self.to)
            except OSError:
                pass  # an ICMP error for an earlier datagram
            self.sent += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.thread.join(5)


def receive_all(receiver, seconds):
    """Every (datagram, peer) that arrives within the time."""
    out = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([receiver], [], [], left)[0]:
            try:
                data, peer = receiver.recvfrom(65536)
                out.append((data, peer[:2]))
            except OSError:
                pass
    return out


def drain(receiver):
    """What has arrived already."""
    out = []
    while select.select([receiver], [], [], 0)[0]:
        try:
            data, peer = receiver.recvfrom(65536)
            out.append((data, peer[:2]))
        except OSError:
            pass  # an ICMP error for an earlier datagram
    return out


def new_socket(host, version, kind, port=0):
    made = host.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(("0.0.0.0" if version == 4 else "::", port))
    return made


__all__ = ["CABLE_MAC", "Device", "Lab", "Probe", "ProbeError", "RedirectLab", "Stream", "drain", "new_socket", "receive_all"]
