"""Servers that tell whom they saw, visitors, scans and captures. Their sockets live in the hosts, their threads in this process."""
import random
import re
import select
import signal
import socket
import struct
import threading
import time

from namespaces import wait_for

ANY = {4: (socket.AF_INET, "0.0.0.0"), 6: (socket.AF_INET6, "::")}


def version_of(address):
    return 6 if ":" in address else 4


def family_of(address):
    return ANY[version_of(address)][0]


class Server:
    """Base: one thread for each listening socket until close()."""

    def __init__(self):
        self.peers = []  # (address, port) of everyone seen, in order
        self.closing = threading.Event()
        self.sockets, self.threads = [], []

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        self.threads.append(thread)

    def addresses(self):
        return [address for address, _ in self.peers]

    def close(self):
        self.closing.set()
        for held in self.sockets:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            held.close()
        for thread in self.threads:
            thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TcpServer(Server):
    """Greets with `you are ADDRESS PORT` and a newline, then sends back what comes."""

    def __init__(self, host, port, versions=(4, 6), bind=None):
        super().__init__()
        for version in versions:
            family, address = ANY[version]
            listener = host.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if version == 6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((bind or address, port))
            listener.listen(128)
            self.sockets.append(listener)
            self._start(self._accept, listener)

    def _accept(self, listener):
        while not self.closing.is_set():
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            self.peers.append(peer[:2])
            self.sockets.append(connection)
            self._start(self._serve, connection, peer)

    def _serve(self, connection, peer):
        try:
            connection.sendall(f"you are {peer[0]} {peer[1]}\n".encode())
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


class UdpServer(Server):
    """Answers each datagram with `you are ADDRESS PORT: ` and the datagram."""

    def __init__(self, host, port, versions=(4, 6), bind=None):
        super().__init__()
        self.received = []
        for version in versions:
            family, address = ANY[version]
            receiver = host.socket(family, socket.SOCK_DGRAM)
            if version == 6:
                receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            receiver.bind((bind or address, port))
            receiver.settimeout(0.2)
            self.sockets.append(receiver)
            self._start(self._serve, receiver)

    def _serve(self, receiver):
        while not self.closing.is_set():
            try:
                data, peer = receiver.recvfrom(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            self.peers.append(peer[:2])
            self.received.append(data)
            try:
                receiver.sendto(f"you are {peer[0]} {peer[1]}: ".encode() + data, peer)
            except OSError:
                pass


def connect(host, address, port, seconds=5, source=None):
    """A TCP connection from the host; raises OSError as socket.connect() does (TimeoutError where nothing answers)."""
    connection = host.socket(family_of(address), socket.SOCK_STREAM)
    if source:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind(source)
    connection.settimeout(seconds)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            raise ConnectionError(f"ended after {line!r}")
        line += part
    return line.decode().strip()


def tcp_visit(host, address, port, seconds=5):
    """The greeting of a TcpServer: `you are ADDRESS PORT`; or None where the port does not answer."""
    try:
        with connect(host, address, port, seconds) as connection:
            return read_line(connection)
    except OSError:
        return None


def udp_visit(host, address, port, payload=b"hello", seconds=3, tries=3):
    """The answer of a UdpServer, or None. Asks again as every UDP client does."""
    with host.socket(family_of(address), socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        sender.settimeout(seconds / tries)
        for _ in range(tries):
            try:
                sender.send(payload)
                return sender.recv(65536).decode(errors="replace")
            except OSError:
                continue
    return None


def syn_scan(host, address, ports, listen_seconds=1.5, rounds=2):
    """Sends a SYN to each port, as a scanner does; returns {port: "open" or "reset"} of those that answered."""
    raw = host.socket(family_of(address), socket.SOCK_RAW, socket.IPPROTO_TCP)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    raw.connect((address, 0))
    own = raw.getsockname()[0]
    if version_of(address) == 6:
        raw.setsockopt(socket.IPPROTO_IPV6, 7, 16)  # IPV6_CHECKSUM: the kernel fills it in
    source_port = random.randint(20000, 29999)
    answers = {}

    def receive():
        while select.select([raw], [], [], 0)[0]:
            packet = raw.recv(65536)
            segment = packet if version_of(address) == 6 else packet[(packet[0] & 15) * 4:]
            if len(segment) >= 20:
                port, to, flags = struct.unpack("!HH9xB", segment[:14])
                if to == source_port and (flags & 0x12) == 0x12:
                    answers[port] = "open"
                elif to == source_port and flags & 0x04:
                    answers.setdefault(port, "reset")

    with raw:
        for _ in range(rounds):
            for count, port in enumerate(port for port in ports if port not in answers):
                segment = bytearray(struct.pack("!HHIIBBHHH", source_port, port, random.getrandbits(32), 0, 5 << 4, 2, 64240, 0, 0))
                if version_of(address) == 4:
                    struct.pack_into("!H", segment, 16, tcp_checksum_v4(own, address, segment))
                try:
                    raw.send(segment)
                except OSError:
                    pass  # an ICMP error for an earlier port
                if count % 64 == 63:
                    receive()
            end = time.monotonic() + listen_seconds
            while time.monotonic() < end:
                receive()
                select.select([raw], [], [], 0.05)
    return answers


def tcp_checksum_v4(source, destination, segment):
    data = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 6, len(segment)) + bytes(segment)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def udp_scan(host, address, ports, listen_seconds=1.5):
    """Sends a datagram to each port; returns the ports that answered with a datagram."""
    answered = set()
    with host.socket(family_of(address), socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sender.setblocking(False)

        def receive():
            while select.select([sender], [], [], 0)[0]:
                try:
                    answered.add(sender.recvfrom(65536)[1][1])
                except OSError:
                    return

        for count, port in enumerate(ports):
            try:
                sender.sendto(b"scan", (address, port))
            except OSError:
                pass
            if count % 64 == 63:
                receive()
        end = time.monotonic() + listen_seconds
        while time.monotonic() < end:
            receive()
            select.select([sender], [], [], 0.05)
    return answered


class Capture:
    """tcpdump on one interface of a host: `with Capture(host, "eth0", "udp port 53") as seen: ...` then seen.lines, len(seen)."""

    def __init__(self, host, interface, expression="", options=()):
        self.host = host
        self.process = host.popen("tcpdump", "-i", interface, "-n", "-l", "--immediate-mode", *options, expression)
        self.process.wait_for_output("listening on")
        self.lines = []

    def so_far(self):
        return [line for line in self.process.output().splitlines() if re.match(r"\d\d:\d\d:\d\d\.", line)]

    def wait_for_packets(self, count=1, seconds=5):
        wait_for(lambda: len(self.so_far()) >= count, seconds, f"{count} packets captured in {self.host.name}")

    def __len__(self):
        return len(self.lines or self.so_far())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop(signal.SIGINT)
        self.lines = self.so_far()


def send_raw_v4(host, interface, packet):
    """Sends an IPv4 packet as it is (any source address) out of an interface without link addresses, e.g. a tunnel."""
    with host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x0800) as sender:
        sender.sendto(packet, (interface, 0x0800))


def send_raw_v6(host, interface, packet):
    with host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0x86DD) as sender:
        sender.sendto(packet, (interface, 0x86DD))
