"""The idle scan: a zombie in user space that counts all its packets with one counter, on one cable with scanner and target."""
import json
import socket
import struct
import threading

import pytest

from gateway import DRPF
from namespaces import Namespaces

SCANNER, TARGET, ZOMBIE = "10.44.0.1", "10.44.0.2", "10.44.0.3"
MARK = 7
OPEN = (22, 80, 443)
DROPPED = 81


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Zombie:
    """Answers every TCP segment but resets with a reset, as an old system without any connection does."""

    def __init__(self, host, identify):
        host.nft(f"table ip quiet {{ chain out {{ type filter hook output priority 0; policy accept; meta l4proto tcp meta mark != {MARK} drop; }}; }}")
        self.identify, self.answered = identify, 0
        self.receiver = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.receiver.settimeout(0.1)
        self.sender = host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.answer, daemon=True)
        self.thread.start()

    def answer(self):
        while not self.closing.is_set():
            try:
                packet, origin = self.receiver.recvfrom(2048)
            except TimeoutError:
                continue
            header = (packet[0] & 15) * 4
            if origin[2] == socket.PACKET_OUTGOING or packet[9] != socket.IPPROTO_TCP or packet[16:20] != socket.inet_aton(ZOMBIE):
                continue
            source, destination, sequence, acknowledgement, flags = struct.unpack("!HHIIxB", packet[header:header + 14])
            if flags & 4:
                continue
            self.answered += 1
            peer = packet[12:16]
            reset = struct.pack("!HHIIBBHHH", destination, source, acknowledgement if flags & 16 else 0, sequence + 1 & 0xffffffff, 0x50,
                                4 if flags & 16 else 20, 0, 0, 0)
            pseudo = socket.inet_aton(ZOMBIE) + peer + struct.pack("!BBH", 0, 6, len(reset))
            reset = reset[:16] + struct.pack("!H", checksum(pseudo + reset)) + reset[18:]
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, self.identify(self.answered) & 0xffff, 0, 64, 6, 0, socket.inet_aton(ZOMBIE), peer)
            self.sender.sendto(ip + reset, (socket.inet_ntoa(peer), 0))

    def close(self):
        self.closing.set()
        self.thread.join(5)
        self.receiver.close()
        self.sender.close()


@pytest.fixture(name="lab")
def fixture_lab(tmp_path):
    namespaces = Namespaces(tmp_path)
    try:
        switch = namespaces.host("switch")
        switch.sh("ip link add lan type bridge; ip link set lan up")
        hosts = {}
        for number, (name, address) in enumerate((("scanner", SCANNER), ("target", TARGET), ("zombie", ZOMBIE))):
            hosts[name] = namespaces.host(name)
            namespaces.link(switch, f"port{number}", hosts[name], "eth0")
            switch.sh(f"ip link set port{number} master lan")
            hosts[name].sh(f"ip addr add {address}/24 dev eth0")
        listeners = []
        for port in (*OPEN, DROPPED):
            made = hosts["target"].socket()
            made.bind(("0.0.0.0", port))
            made.listen(16)
            listeners.append(made)
        hosts["target"].nft(f"table ip walls {{ chain in {{ type filter hook input priority 0; policy accept; tcp dport {DROPPED} drop; }}; }}")
        yield hosts
        for made in listeners:
            made.close()
    finally:
        namespaces.close()


def scan(lab, ports):
    return lab["scanner"].run(DRPF, "scan", "--idle", f"{ZOMBIE}:4000", "--format", "jsonl", "--no-discovery", "--no-resume", "--progress", "none",
                              "-p", ports, TARGET, check=False, seconds=60)


@pytest.mark.parametrize("unit", [1, 256])
def test_the_zombie_s_counter_tells_the_open_ports_and_the_target_never_hears_of_the_scanner(lab, unit):
    lab["target"].nft(f"table ip heard {{ chain in {{ type filter hook input priority -10; policy accept; ip saddr {SCANNER} counter; }}; }}")
    zombie = Zombie(lab["zombie"], lambda number: number * unit)
    try:
        result = scan(lab, "20-90,440-445")
    finally:
        zombie.close()
    assert result.returncode == 0, result
    ports = {port["port"]: (port["state"], port["reason"]) for port in json.loads(result.stdout.splitlines()[0])["ports"]}
    assert ports == {port: ("open" if port in OPEN else "closed|filtered", "ipid-step") for port in (*range(20, 91), *range(440, 446))}
    assert "packets 0 " in lab["target"].run("nft", "list", "table", "ip", "heard").stdout


def test_a_zombie_that_counts_nothing_is_refused(lab):
    zombie = Zombie(lab["zombie"], lambda number: 77)  # the kernel would fill in another for 0
    try:
        result = scan(lab, "80")
    finally:
        zombie.close()
    assert result.returncode != 0 and "does not count up one by one" in result.stdout + result.stderr, result


def test_a_zombie_that_talks_to_others_leaves_ports_undecided(lab):
    seen = []

    def busy(number):
        seen.append(number)
        return number if len(seen) <= 6 else number * 40  # idle while it is judged, then not

    zombie = Zombie(lab["zombie"], busy)
    try:
        result = scan(lab, "80,82")
    finally:
        zombie.close()
    assert result.returncode == 3, result
    ports = {port["port"]: port["state"] for port in json.loads(result.stdout.splitlines()[0])["ports"]}
    assert ports == {80: "undecided", 82: "undecided"}
