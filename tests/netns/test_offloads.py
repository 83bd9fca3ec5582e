"""The kernel's batching with the redirect in the path: whatever of it the tunnel uses, visitors' bytes and answers arrive as they were sent.

The engine by itself has the same matrix in test_wireguard_engine.py. Under Debian's kernel 6.1, which has no UDP segmentation at TUN devices,
these run by ./dev test --kernel.
"""
import hashlib
import socket
import struct
import threading

import pytest
from gateway import ConnectedDevice, Gateway, WireGuardDevice
from traffic import TcpServer, UdpServer, connect, family_of, read_line

STREAM_BYTES = 4_000_000
DATAGRAMS, DATAGRAM_BYTES, AT_ONCE = 160, 1200, 8
UDP_SEGMENT = 103


def bytes_of(seed, size):
    return hashlib.shake_128(str(seed).encode()).digest(size)


def echoed_stream(host, address, port, data):
    """What comes back of it."""
    returned = hashlib.sha256()
    with connect(host, address, port, seconds=60) as connection:
        read_line(connection)
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        left = len(data)
        while left and (part := connection.recv(min(left, 65536))):
            returned.update(part)
            left -= len(part)
        sender.join(60)
    return returned.digest()


def echoed_datagrams(host, address, port, segment):
    """How many came back whole; several go by one call with `segment`."""
    payloads = [struct.pack("!I", number) + bytes_of(number, DATAGRAM_BYTES - 4) for number in range(DATAGRAMS)]
    returned = set()
    with host.socket(family_of(address), socket.SOCK_DGRAM) as visitor:
        visitor.settimeout(10)
        visitor.connect((address, port))
        if segment:
            visitor.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, DATAGRAM_BYTES)
        step = AT_ONCE if segment else 1
        for first in range(0, DATAGRAMS, step):
            visitor.send(b"".join(payloads[first:first + step]))
            for _ in range(step):
                returned.add(visitor.recv(65536)[-DATAGRAM_BYTES:])
    return sum(payload in returned for payload in payloads)


@pytest.mark.parametrize("offload,device_kind", [("automatic", ConnectedDevice), ("no-uso", ConnectedDevice), ("no-gso", ConnectedDevice), ("none", ConnectedDevice),
                                                 ("automatic", WireGuardDevice), ("none", WireGuardDevice)],
                         ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_visits_carry_the_same_bytes(lab, offload, device_kind):
    gateway = Gateway(lab, f'[tunnel]\noffload = "{offload}"\n[limits]\npackets_per_lease_per_s = 0\n')
    device = device_kind(lab.homes[0], gateway.add_device("ann", "laptop"))
    port = gateway.wait_for_ports("laptop")[0]
    data = bytes_of(offload, STREAM_BYTES)
    with TcpServer(lab.homes[0], port), UdpServer(lab.homes[0], port):
        for address in (lab.gw_v4, lab.gw_v6):
            assert echoed_stream(lab.inet, address, port, data) == hashlib.sha256(data).digest()
            for segment in (False, True):
                assert echoed_datagrams(lab.inet, address, port, segment) == DATAGRAMS, segment
    assert device
    assert "offload" not in gateway.log_text() and "written singly" not in gateway.log_text()  # nothing was given up
