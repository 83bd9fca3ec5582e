"""Attacks by and on the interface that the gateway visits its own leases from, and visits in another's name; as in attacks.py."""
import packets
from attacks import NO_DEVICE, STRANGER, UDP, arrivals
from redirect_lab import PROBE_ADDRESS, new_socket
from traffic import TcpServer, tcp_visit


def services_through_the_door(net, version):
    """The gateway's own visits are to leases; nothing else is reached that way."""
    with TcpServer(net.gw, 22, versions=(version,)) as server:
        greeting = tcp_visit(net.door, net.public(version), 22, seconds=net.patience)
        return server.peers + [greeting] * bool(greeting)


def device_to_the_door(net, version):
    """A device speaks to the address that the gateway visits it from."""
    with new_socket(net.door, version, UDP, 4000) as receiver, net.a.socket(version, UDP) as sender:
        sender.sendto(b"x", (PROBE_ADDRESS[version], 4000))
        return arrivals(receiver, net.patience)


def spoofed_visit(net, version, host, source):
    net.lease("udp", version, 30001, net.a)
    with net.a.socket(version, UDP, 30001) as device:
        packets.send(host, version, packets.udp(version, source, net.public(version), 4000, 30001, b"spoofed"))
        return arrivals(device, net.patience)


def tunnel_source_from_outside(net, version):
    """A visitor who says that he is a device."""
    return spoofed_visit(net, version, net.inet, NO_DEVICE[version])


def door_source_from_outside(net, version):
    """A visitor who says that he is the gateway on a visit of its own."""
    return spoofed_visit(net, version, net.inet, PROBE_ADDRESS[version])


def spoof_through_the_door(net, version):
    """What comes in by the gateway's interface for its own visits with another address than that one."""
    return spoofed_visit(net, version, net.door, STRANGER[version])
