"""Hosts that live in this process, on a TUN device of the scan lab's target: each address answers as its function says.

    odd = OddHosts(lab)
    address = odd.add(7, 4, lambda asked: [answer(asked, SYN | ACK, sequence=asked.sequence + 1)])    # 10.43.0.7; a list of packets, or (seconds, packet)
"""
import fcntl
import heapq
import os
import select
import struct
import threading
import time

import packets
from packets import ACK, RST, SYN

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}


class Asked:
    """A packet that arrived."""

    def __init__(self, packet):
        self.packet, self.version = packet, packet[0] >> 4
        self.source, self.destination = packets.source_of(self.version, packet), packets.destination_of(self.version, packet)
        self.protocol = packets.protocol_of(self.version, packet)
        self.body = packets.after_header(self.version, packet)
        self.source_port = self.port = self.sequence = self.acknowledged = self.flags = 0
        if self.protocol in (6, 17) and len(self.body) >= 8:
            self.source_port, self.port = struct.unpack("!HH", self.body[:4])
        if self.protocol == 6 and len(self.body) >= 20:
            self.sequence, self.acknowledged, _, self.flags = struct.unpack("!IIBB", self.body[4:14])


def segment(asked, flags, sequence=0, acknowledged=None, window=0, port=None):
    """A TCP segment back to who asked; it acknowledges the SYN unless told otherwise."""
    if acknowledged is None:
        acknowledged = asked.sequence + 1
    made = struct.pack("!HHIIBBHHH", port or asked.port, asked.source_port, sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF if flags & ACK else 0, 5 << 4,
                       flags, window, 0, 0)
    made = packets.with_checksum(asked.version, asked.destination, asked.source, 6, made, 16)
    return packets.ip(asked.version, asked.destination, asked.source, 6, made)


def datagram(asked, payload, port=None):
    return packets.udp(asked.version, asked.destination, asked.source, port or asked.port, asked.source_port, payload)


def error(asked, kind, code, sender=None, quoted=None, rest=b"\0\0\0\0"):
    """An ICMP error about what was asked; `quoted` stands in the place of the packet."""
    about = asked.packet[:(asked.packet[0] & 15) * 4 + 8 if asked.version == 4 else len(asked.packet)] if quoted is None else quoted
    return packets.icmp(asked.version, sender or asked.destination, asked.source, kind, code, rest + about)


def like_a_kernel(asked, open_ports):
    """What a usual host would answer to a TCP segment."""
    if asked.protocol != 6 or asked.flags & RST:
        return []
    if asked.port in open_ports and asked.flags & (SYN | ACK) == SYN:
        return [segment(asked, SYN | ACK, sequence=7_000_000, window=64240)]
    if asked.flags & ACK:
        return [] if asked.port in open_ports else [segment(asked, RST, sequence=asked.acknowledged)]
    return [segment(asked, RST | ACK, acknowledged=asked.sequence + (1 if asked.flags & SYN else 0))]


class OddHosts:
    def __init__(self, lab):
        self.lab, self.hosts = lab, {}
        self.tun = lab.target.call(self._open)
        self.seen = []  # (address, protocol, port, flags) of all that arrived
        lab.target.sh("ip addr add 10.43.0.1/24 dev odd; ip addr add fd43::1/64 dev odd nodad; ip link set odd up")
        lab.target.sysctl("net.ipv4.ip_forward", 1)
        lab.target.sysctl("net.ipv6.conf.all.forwarding", 1)
        lab.router.sh("ip route add 10.43.0.0/24 via 10.42.0.2; ip -6 route add fd43::/64 via fd42::2")
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @staticmethod
    def _open():
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"odd", IFF_TUN | IFF_NO_PI))
        return tun

    def add(self, number, version, answers):
        address = f"10.43.0.{number}" if version == 4 else f"fd43::{number:x}"
        self.hosts[address] = answers
        return address

    def _serve(self):
        later, order = [], 0
        while not self.closing.is_set():
            wait = 0.2 if not later else max(0, min(0.2, later[0][0] - time.monotonic()))
            if select.select([self.tun], [], [], wait)[0]:
                try:
                    asked = Asked(os.read(self.tun, 65536))
                except (BlockingIOError, IndexError, OSError):
                    continue
                answers = self.hosts.get(asked.destination)
                if answers:
                    self.seen.append((asked.destination, asked.protocol, asked.port, asked.flags))
                    for answer in answers(asked):
                        order += 1
                        delay, packet = answer if isinstance(answer, tuple) else (0, answer)
                        heapq.heappush(later, (time.monotonic() + delay, order, packet))
            while later and later[0][0] <= time.monotonic():
                try:
                    os.write(self.tun, heapq.heappop(later)[2])
                except OSError:
                    pass

    def close(self):
        self.closing.set()
        self.thread.join(5)
        os.close(self.tun)
